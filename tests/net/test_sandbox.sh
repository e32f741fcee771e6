#!/bin/bash
# The inspector under its seccomp filter: everything an operator and the traffic ask of it works
# and no call is refused; a hook that wants more is answered EPERM, and said; one that starts a
# program costs the inspector its life, and the next one serves.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
test_begin sandbox

refused() { box status --json | jq .processes.calls_refused; }
refused_some() { [ "$(refused)" -gt 0 ]; }
restarts_some() { [ "$(box status --json | jq .processes.restarts)" -gt 0 ]; }
config() { # HOOKS [MORE-YAML]
	{
		echo "mode: inline"
		sealed_domains
		echo "hooks: [$1]"
		echo "feeds: {eve: {path: eve.json, stats-interval: 1}, mirror: {tap: hkm1}, pcapng: {path: out.pcapng}}"
		echo "${2:-}"
	} | box_config
}

# calls_build NAME C-STATEMENT: a hook that does it with the first batch it sees
calls_build() {
	sed "s|@STATEMENT@|$2|; s|@NAME@|$1|" <<-'C' | "${CC:-cc}" -std=gnu11 -Wall -Werror -O2 -fPIC -shared -Iinclude \
		-o "$topology_dir/$1.so" -x c -
		#include <errno.h>
		#include <fcntl.h>
		#include <sys/socket.h>
		#include <unistd.h>
		#include <halfkey/hook.h>
		static int done, denied;
		static int create(struct hk_hook_setup *setup, void **state, char *error, size_t size)
		{
			(void)setup, (void)error, (void)size;
			*state = &done;
			return 0;
		}
		static int process(void *state, unsigned worker, struct hk_hook_batch *batch)
		{
			(void)state, (void)batch, (void)worker;
			if (!done++)
				denied = (@STATEMENT@) == -1 && errno == EPERM;
			return 0;
		}
		static void destroy(void *state)
		{
			(void)state;
		}
		static size_t stats(void *state, struct hk_hook_stat *out, size_t max)
		{
			(void)state;
			if (max)
				out[0] = (struct hk_hook_stat){"denied", (__u64)denied};
			return max != 0;
		}
		const struct hk_hook hk_hook = {
			.abi = HK_HOOK_ABI, .packet_size = sizeof(struct hk_hook_packet), .name = "@NAME@",
			.summary = "makes a system call", .create = create, .process = process,
			.destroy = destroy, .stats = stats,
		};
	C
}

filtered() {
	local task bad=""
	for task in "/proc/$1"/task/*; do
		grep -q '^Seccomp:[[:space:]]*2' "$task/status" || bad="$bad ${task##*/}"
	done
	check_equal "every thread of the inspector is filtered" "" "$bad"
	check_equal "and has its own name" "hk-worker-0" "$(grep -h hk-worker "/proc/$1"/task/*/comm)"
	check_equal "the starter is filtered no more than we are" "$(grep '^Seccomp:' /proc/self/status)" \
		"$(grep '^Seccomp:' "/proc/$box_pid/status")"
	check_equal "status says so" '"on"' "$(box status --json | jq .seccomp)"
}

# All that comes to an inspector in its life
life() {
	local domain
	domain=$(box status -j | jq -r '.inspection.domains[0]')
	check "TCP is opened" bulk client server 10.9.0.9 256
	check "verdicts come and go" box verdicts add "$domain" 192.0.2.1 192.0.2.9 0x7777 drop 1
	check "keys are listed" box keys list
	(umask 077 && echo "receiver=192.0.2.9 spi=0x77 version=5 side=enc key=$(openssl rand -hex 32)" \
		>"$topology_dir/next.keys")
	check "keys are added" box keys add "$domain" "$topology_dir/next.keys"
	config "{use: firewall, rules: fw.yaml}, {use: signatures, rules: s.rules}, {use: ./portwatch.so, settings: ports.txt}"
	check "a reload brings hooks, one of them a shared object" box reload
	check "sealed traffic passes them" pings client 10.9.0.9
	mv "$topology_dir/eve.json" "$topology_dir/eve.json.1"
	check "another reload, files opened anew" box reload
	check "sealed traffic goes on" pings client 10.9.0.9
	check "EVE is written" wait_for 5 test -s "$topology_dir/eve.json"
	check "the capture is written" wait_for 5 test -s "$topology_dir/out.pcapng"
	box_conserves "a whole life"
	check_equal "nothing was said about calls" 0 "$(grep -c 'seccomp: system call' "$log")"
}

wants_more() {
	calls_build calls 'socket(AF_INET, SOCK_DGRAM, 0)'
	config "{use: ./calls.so}"
	check "a hook that wants a socket is loaded" box reload
	check "traffic passes it" pings client 10.9.0.9
	check "its call is refused and counted" wait_for 5 refused_some
	denied() { box stats -j | jq '.hooks[0].counters.denied'; }
	check_count "it was answered EPERM" 1 denied
	check "and is named in the log" wait_for 5 grep -q 'seccomp: system call socket (41) is not on' "$log"
	check_equal "once" 1 "$(grep -c 'seccomp: system call' "$log")"
	check_equal "nobody died of it" 0 "$(box status --json | jq .processes.restarts)"
}

breaks_in() {
	calls_build program 'execl("/bin/true", "true", (char *)0)'
	config "{use: ./program.so}"
	check "a hook that starts a program is loaded" box reload
	dies_of_traffic() { in_client ping -q -c 1 -W 1 10.9.0.9; restarts_some; }
	check "the inspector is killed for it, and replaced" wait_for 10 dies_of_traffic
	check "the log says what that may mean" wait_for 5 grep -q 'made a system call that none ever makes' "$log"
}

without() { # MODE
	box_stop
	config "{use: ./calls.so}" "seccomp: $1"
	box_start
	check "seccomp: $1: the same hook" pings client 10.9.0.9
	check_equal "seccomp: $1: gets its socket" 0 "$(box stats -j | jq '.hooks[0].counters.denied')"
	check_equal "seccomp: $1: nothing is refused" 0 "$(refused)"
}

topology_up 1
log=$topology_dir/halfkeyd.log
sealed_keys
cp docs/examples/firewall.yaml "$topology_dir/fw.yaml"
cp docs/examples/local.rules "$topology_dir/s.rules"
cp docs/examples/ports.txt "$topology_dir/"
cp "$O/hooks/portwatch.so" "$topology_dir/"
config ""
box_start
sealed_up
filtered "$(box status --json | jq .processes.inspector)"
life
wants_more
breaks_in
without log
without off
sealed_down
test_end
