# SPDX-License-Identifier: GPL-2.0-or-later
#
# Halfkey. `make help` lists the targets. V=1 shows every command; O=DIR builds elsewhere.
#
#   libhalfkey.a        every room of user/ but cmd/ and endpoint/
#   libhalfkey-seal.a   user/endpoint/: the seal side; linked into halfkey-endpoint and tests alone
#   halfkeyd, halfkey   one object of user/cmd/ each (halfkey: all the others), libhalfkey.a
#
# Sources are found by folder: adding a file needs no line here.

O       ?= build
V       ?= 0
PREFIX  ?= /usr
SBINDIR ?= $(PREFIX)/sbin
BINDIR  ?= $(PREFIX)/bin
MANDIR  ?= $(PREFIX)/share/man
INCDIR  ?= $(PREFIX)/include
DOCDIR  ?= $(PREFIX)/share/doc/halfkey
COMPDIR ?= $(PREFIX)/share/bash-completion/completions
CONFDIR ?= /etc/halfkey
LOGDIR  ?= /var/log/halfkey
UNITDIR ?= $(PREFIX)/lib/systemd/system
CC      ?= gcc
CLANG   ?= clang
BPFTOOL ?= $(or $(wildcard /usr/sbin/bpftool),bpftool)

VERSION := 0.1.0

ifeq ($(V),1)
say =
Q   =
else
say = @printf '  %-8s%s\n' $(1) $(2);
Q   = @
endif

# CFLAGS, CPPFLAGS and LDFLAGS of a distribution come behind ours; WERROR= where another compiler
# or level of optimization warns of more than ours does.
FORTIFY  := $(if $(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS)),,-D_FORTIFY_SOURCE=2)
HARDEN   := -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE $(FORTIFY)
OPT      ?= -O2 -g
WERROR   ?= -Werror
CFLAGS_  := -std=gnu11 $(OPT) -Wall -Wextra $(WERROR) -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
            -Wvla -Wformat=2 -Wno-format-nonliteral $(HARDEN) -pthread
CPPFLAGS_ := -I. -Iinclude -I$(O)/bpf -D_GNU_SOURCE -DHK_VERSION='"$(VERSION)"' -MMD -MP
LDFLAGS_ := -pie -Wl,-z,relro,-z,now,-z,noexecstack -pthread -rdynamic
LIBS     := -lxdp -lbpf -lelf -lz -lIPSec_MB -lssl -lcrypto -ljansson -lcyaml -lyaml -lpcap -lhs -lcap -lseccomp -lm -ldl

# GCC's generic tuning turns small copies of unknown size into `rep movs`, whose
# start alone costs more than most packets' headers take to copy.
STRINGOPS := -mmemcpy-strategy=vector_loop:256:noalign,libcall:-1:noalign \
             -mmemset-strategy=vector_loop:256:noalign,libcall:-1:noalign
CFLAGS_  += $(shell $(CC) $(STRINGOPS) -Werror -fsyntax-only -x c /dev/null >/dev/null 2>&1 && echo '$(STRINGOPS)')

# SAN=1: AddressSanitizer and UndefinedBehaviourSanitizer, for O=build/asan.
ifeq ($(SAN),1)
OPT      := -O1 -g
HARDEN   := -fPIE
CFLAGS_  += -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS_ += -fsanitize=address,undefined
endif

ROOMS     := base crypto keys envelope pipeline feed hooks dataplane control push
CORE_SRC  := $(sort $(wildcard $(ROOMS:%=user/%/*.c)))
SEAL_SRC  := $(filter-out user/endpoint/main.c,$(sort $(wildcard user/endpoint/*.c)))
CMD_SRC   := $(filter-out user/cmd/halfkeyd.c,$(sort $(wildcard user/cmd/*.c)))
UNIT_SRC  := $(sort $(wildcard tests/unit/test_*.c))
BPFT_SRC  := $(sort $(wildcard tests/bpf/test_*.c))
NETT_SRC  := $(sort $(wildcard tests/net/*.c))
BENCH_SRC := $(sort $(wildcard tests/bench/*.c))
BENCH_LIB := $(sort $(wildcard tests/bench/lib/*.c))
HOOK_SRC  := $(sort $(wildcard docs/examples/*.c))

obj = $(patsubst %.c,$(O)/%.o,$(1))

CORE_LIB := $(O)/libhalfkey.a
SEAL_LIB := $(O)/libhalfkey-seal.a
BINS     := $(O)/halfkeyd $(O)/halfkey $(O)/halfkey-endpoint
UNITS    := $(patsubst tests/unit/%.c,$(O)/tests/%,$(UNIT_SRC))
BPFTESTS := $(patsubst tests/bpf/%.c,$(O)/tests/%,$(BPFT_SRC))
NETHELP  := $(patsubst tests/net/%.c,$(O)/tests/%,$(NETT_SRC))
BENCHES  := $(patsubst tests/bench/%.c,$(O)/bench/%,$(BENCH_SRC)) \
            $(patsubst tests/bench/hook/%.c,$(O)/bench/%.so,$(wildcard tests/bench/hook/*.c))
HOOKS    := $(patsubst docs/examples/%.c,$(O)/hooks/%.so,$(HOOK_SRC))
BPF_SKEL := $(O)/bpf/halfkey.skel.h

.PHONY: all help packages demo check unit units hooks bpftests nettests bench fuzz lint format install uninstall clean
.SECONDARY:
.DEFAULT_GOAL := all

all: $(BINS) $(HOOKS)

help:
	@echo 'make            build everything into $(O)/'
	@echo 'make demo       install packages, build, and show it at work in network namespaces (root)'
	@echo 'make check      install packages, build, and run every test (root)'
	@echo 'make unit       unit tests only (no root, no packages)'
	@echo 'make bench      measure: in memory and over veth (root)'
	@echo 'make fuzz       fuzz every parser for hours; RUNS=N inputs each'
	@echo 'make lint       static analysis and formatting; make format: reformat'
	@echo 'make install    DESTDIR=DIR PREFIX=/usr; make uninstall: all of it but configuration, keys and logs'
	@echo 'make clean'

# --- what everything is made with ------------------------------------------------------------

# A stamp that changes when compiler, flags or libraries do (SAN, OPT, CFLAGS ... among them), so
# that nothing made with others is kept. The first stamp is old: whatever lies there was made so.
FLAGS     = $(CC) $(CPPFLAGS_) $(CPPFLAGS) $(CFLAGS_) $(CFLAGS) $(LDFLAGS_) $(LDFLAGS) $(LIBS)
STAMP    := $(O)/flags
stamp_new = $(shell mkdir -p $(O); printf '%s\n' '$(subst ','\'',$(FLAGS))' >$(STAMP).new; \
              cmp -s $(STAMP) $(STAMP).new && rm $(STAMP).new || \
              { [ -e $(STAMP) ] || touch -d @0 $(STAMP).new; mv $(STAMP).new $(STAMP); })
ifeq ($(filter help clean packages lint format uninstall,$(or $(MAKECMDGOALS),all)),)
$(stamp_new)
endif
$(STAMP):

# --- BPF -------------------------------------------------------------------------------------

BPF_DEPS  := $(wildcard bpf/*.h bpf/parse/*.h maps/*.h include/halfkey/*.h)
BPF_ARCH  := $(shell uname -m | sed 's/x86_64/x86/;s/aarch64/arm64/')
# BTF names the sources: not by where they happened to be built.
BPF_FLAGS := -target bpf -mcpu=v3 -O2 -g -ffile-prefix-map=$(CURDIR)=. -Wall -Wextra $(WERROR) \
             -D__TARGET_ARCH_$(BPF_ARCH) -D__BPF__ -I. -Iinclude -I/usr/include/$(shell uname -m)-linux-gnu

$(O)/bpf/halfkey.bpf.o: bpf/halfkey.bpf.c $(BPF_DEPS)
	@mkdir -p $(@D)
	$(call say,BPF,$@)
	$(Q)$(CLANG) $(BPF_FLAGS) -c $< -o $@.tmp
	$(Q)llvm-strip -g $@.tmp 2>/dev/null || true
	$(Q)mv $@.tmp $@

$(BPF_SKEL): $(O)/bpf/halfkey.bpf.o
	$(call say,SKEL,$@)
	$(Q){ echo '// NOLINTBEGIN: generated'; $(BPFTOOL) gen skeleton $< name halfkey_bpf; echo '// NOLINTEND'; } > $@.tmp && mv $@.tmp $@

# --- objects, libraries, programs ------------------------------------------------------------

$(O)/%.o: %.c $(STAMP) | $(BPF_SKEL)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS_) $(CPPFLAGS) $(CFLAGS_) $(CFLAGS) -c $< -o $@

$(CORE_LIB): $(call obj,$(CORE_SRC))
$(SEAL_LIB): $(call obj,$(SEAL_SRC))
$(CORE_LIB) $(SEAL_LIB):
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

link = $(CC) $(CFLAGS_) $(CFLAGS) $(LDFLAGS_) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LIBS)

$(O)/halfkeyd: $(O)/user/cmd/halfkeyd.o $(CORE_LIB)
$(O)/halfkey: $(call obj,$(CMD_SRC)) $(CORE_LIB)
$(O)/halfkey-endpoint: $(O)/user/endpoint/main.o $(SEAL_LIB) $(CORE_LIB)
# SQLite holds the key server's state; no program of the box links it.
$(O)/halfkey-endpoint $(O)/tests/%: LIBS += -lsqlite3
$(BINS):
	$(call say,LINK,$@)
	$(Q)$(link)

$(O)/hooks/%.so: docs/examples/%.c include/halfkey/hook.h
	@mkdir -p $(@D)
	$(call say,HOOK,$@)
	$(Q)$(CC) -std=gnu11 -O2 -g -Wall -Wextra $(WERROR) -fPIC -shared -Iinclude $< -o $@

# --- tests -----------------------------------------------------------------------------------

# reasons.o stands around parser and pipeline and notes what they say.
TEST_LIB := $(O)/tests/unit/harness.o $(O)/tests/unit/reasons.o
WRAP     := -Wl,--wrap=hk_outer_parse,--wrap=hk_pipeline_run
# What stands behind `halfkey`'s commands.
$(O)/tests/test_keyput: $(filter-out %/main.o,$(call obj,$(CMD_SRC)))
# There is no memory when this test says so.
$(O)/tests/test_keywords: WRAP += -Wl,--wrap=hk_key_change_new
# The clock stands where this test says.
$(O)/tests/test_statefile: WRAP += -Wl,--wrap=time

$(O)/tests/test_%: $(O)/tests/unit/test_%.o $(TEST_LIB) $(SEAL_LIB) $(CORE_LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(link) $(WRAP) -lcunit

$(BPFTESTS): $(O)/tests/%: $(O)/tests/bpf/%.o $(O)/tests/bpf/fixture.o $(TEST_LIB) $(SEAL_LIB) $(CORE_LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(link) $(WRAP) -lcunit

$(NETHELP): $(O)/tests/%: $(O)/tests/net/%.o $(SEAL_LIB) $(CORE_LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(link)

$(O)/bench/%.so: tests/bench/hook/%.c include/halfkey/hook.h
	@mkdir -p $(@D)
	$(call say,HOOK,$@)
	$(Q)$(CC) -std=gnu11 -O2 -g -Wall -Wextra $(WERROR) -fPIC -shared -Iinclude $< -o $@

$(O)/bench/%: $(O)/tests/bench/%.o $(call obj,$(BENCH_LIB)) $(SEAL_LIB) $(CORE_LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(link)

units: $(UNITS)
hooks: $(HOOKS)
bpftests: $(BPFTESTS)
nettests: $(NETHELP)
benches: $(BENCHES)

unit: $(UNITS) $(HOOKS) $(O)/halfkey
	@O=$(O) tests/run.sh unit

packages:
	@scripts/packages.sh

# The steps run in this order even with -j: packages must be there before the build.
check: packages
	@$(MAKE) --no-print-directory O=$(O) all units bpftests nettests benches
	@O=$(O) scripts/as-root.sh tests/run.sh all

demo: packages
	@$(MAKE) --no-print-directory O=$(O) all nettests
	@O=$(O) scripts/as-root.sh scripts/demo.sh

bench: packages
	@$(MAKE) --no-print-directory O=$(O) all nettests benches
	@O=$(O) scripts/as-root.sh tests/bench/run.sh $(BENCH)

# RUNS: inputs for each parser; `make check` gives each a short run.
RUNS ?= 20000000
fuzz: packages
	@O=$(O) tests/fuzz/run.sh $(RUNS)

lint:
	@O=$(O) tests/lint.sh

FORMAT_SRC := $(wildcard bpf/*.[ch] bpf/parse/*.h maps/*.h include/halfkey/*.h user/*/*.[ch] tests/*/*.[ch] tests/*/*/*.[ch] docs/examples/*.c)
format:
	$(Q)clang-format -i $(FORMAT_SRC)

# --- installation ----------------------------------------------------------------------------

# Documentation keeps its folders, so that the links in it hold.
install: all
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(BINDIR) $(DESTDIR)$(MANDIR)/man8 $(DESTDIR)$(MANDIR)/man1 \
	  $(DESTDIR)$(INCDIR)/halfkey $(DESTDIR)$(DOCDIR)/docs/examples $(DESTDIR)$(DOCDIR)/maps \
	  $(DESTDIR)$(UNITDIR) $(DESTDIR)$(COMPDIR) $(DESTDIR)$(CONFDIR)
	install -d -m 750 $(DESTDIR)$(LOGDIR)
	install -m 755 $(O)/halfkeyd $(DESTDIR)$(SBINDIR)/halfkeyd
	install -m 755 $(O)/halfkey $(O)/halfkey-endpoint $(DESTDIR)$(BINDIR)/
	install -m 644 include/halfkey/*.h $(DESTDIR)$(INCDIR)/halfkey/
	install -m 644 $(wildcard docs/man/*.8) $(DESTDIR)$(MANDIR)/man8/
	install -m 644 $(wildcard docs/man/*.1) $(DESTDIR)$(MANDIR)/man1/
	install -m 644 README.md $(DESTDIR)$(DOCDIR)/
	install -m 644 $(wildcard docs/*.md) $(DESTDIR)$(DOCDIR)/docs/
	install -m 644 $(wildcard docs/examples/*.*) $(DESTDIR)$(DOCDIR)/docs/examples/
	install -m 644 $(wildcard maps/*.md maps/*.h) $(DESTDIR)$(DOCDIR)/maps/
	sed 's#/usr/sbin/#$(SBINDIR)/#' scripts/halfkeyd.service >$(DESTDIR)$(UNITDIR)/halfkeyd.service
	chmod 644 $(DESTDIR)$(UNITDIR)/halfkeyd.service
	install -m 644 scripts/completion.bash $(DESTDIR)$(COMPDIR)/halfkey
	ln -sf halfkey $(DESTDIR)$(COMPDIR)/halfkey-endpoint

# Configuration, keys and logs stay; their folders go when they are empty.
uninstall:
	rm -f $(DESTDIR)$(SBINDIR)/halfkeyd $(DESTDIR)$(BINDIR)/halfkey $(DESTDIR)$(BINDIR)/halfkey-endpoint
	rm -f $(patsubst docs/man/%,$(DESTDIR)$(MANDIR)/man8/%,$(wildcard docs/man/*.8))
	rm -f $(patsubst docs/man/%,$(DESTDIR)$(MANDIR)/man1/%,$(wildcard docs/man/*.1))
	rm -f $(DESTDIR)$(UNITDIR)/halfkeyd.service $(DESTDIR)$(COMPDIR)/halfkey $(DESTDIR)$(COMPDIR)/halfkey-endpoint
	rm -rf $(DESTDIR)$(INCDIR)/halfkey $(DESTDIR)$(DOCDIR)
	for d in $(DESTDIR)$(CONFDIR) $(DESTDIR)$(LOGDIR); do \
	  [ ! -d $$d ] || rmdir --ignore-fail-on-non-empty $$d; done

clean:
	rm -rf $(O)

-include $(shell find $(O) -name '*.d' 2>/dev/null)
