#!/bin/bash
# SIGHUP and `halfkey reload`: a good configuration takes effect under traffic
# without a lost packet, a bad one changes nothing and says why.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
test_begin reload

reloads() { box status --json | jq .reloads."$1"; }
reloads_are() { [ "$(reloads "$1")" = "$2" ]; }
last_error() { box status --json | jq -r .reloads.last_error; }
receivers() { bpftool -j map dump pinned "$pins/$topology_instance/receivers" | jq length; }
policy_of() { # NUMBER
	bpftool -j map lookup pinned "$pins/$topology_instance/policy" key "$1" 0 0 0 |
		jq .formatted.value.action
}
config() { # EXTRA-YAML
	{ echo "mode: inline"; sealed_domains; echo "$1"; } | box_config
}

good() {
	local before
	echo_begin "$topology_dir/ping" 0.005
	for before in 0 1 2; do
		config "policy: {legacy: $([ $before = 1 ] && echo pass || echo drop)}"
		kill -HUP "$box_pid"
		check "a good reload takes effect (SIGHUP, $((before + 1)))" wait_for 5 reloads_are "done" $((before + 1))
	done
	echo_end
	check "no sealed packet was lost over three reloads" none_lost "$topology_dir/ping"
	check_equal "the policy is in the map" 1 "$(policy_of 18)"
	check "clear traffic is dropped now" test "$(in_client ping -q -c 2 -W 1 192.0.2.9 | grep -c ' 0 received')" = 1
	check "sealed traffic goes on" pings client 10.9.0.9
	check_equal "none had no key or domain meanwhile" 0 \
		"$(($(reason_count workers no-key) + $(reason_count workers meta-invalid) + $(reason_count xdp no-domain)))"
}

more_domains() {
	local before
	before=$(receivers)
	(umask 077 && echo "receiver=198.51.100.9 slot=0 generation=1 side=enc key=$(openssl rand -hex 32)" \
		>"$topology_dir/keys/more.keys")
	config ""
	sed -i '/^domains:/a\  - {name: more, envelope: psp, profile: split, receivers: [198.51.100.0/24], keys: keys/more.keys}' \
		"$topology_dir/halfkey.yaml"
	box reload >/dev/null
	check "a reload over the control socket" wait_for 5 reloads_are "done" 4
	check_equal "the new domain's receivers are in the map" $((before + 1)) "$(receivers)"
	check "clear traffic passes again" pings client 192.0.2.9
	check "sealed traffic goes on" pings client 10.9.0.9
	config ""
	kill -HUP "$box_pid"
	check "and back" wait_for 5 reloads_are "done" 5
	check_equal "the old receivers are in the map" "$before" "$(receivers)"
}

bad() { # NAME COUNT WORDS: the file is there already
	kill -HUP "$box_pid"
	check "$1 is refused" wait_for 5 reloads_are failed "$2"
	check "$1: the sentence is kept" grep -q "$3" <<<"$(last_error)"
	check "$1: sealed traffic goes on as before" pings client 10.9.0.9
}

bad_ones() {
	local keys=$topology_dir/keys/box.keys
	config "polcy: {}"
	bad "an unknown key" 1 polcy
	config ""
	sed -i 's/^mode: inline/mode: monitor/' "$topology_dir/halfkey.yaml"
	bad "another mode" 2 mode
	config ""
	cp "$keys" "$topology_dir/good.keys"
	echo "slot=0 generation=2 side=auth key=$(printf '%064d' 7)" >>"$keys"
	bad "an authentication key in a split domain" 3 box.keys
	cp "$topology_dir/good.keys" "$keys"
	chmod 644 "$keys"
	bad "a key file that others can read" 4 box.keys
	chmod 600 "$keys"
	config "hooks: [{use: nonesuch}]"
	bad "a hook that is not there" 5 nonesuch
	config ""
	kill -HUP "$box_pid"
	check "afterwards a good one works" wait_for 5 reloads_are "done" 6
	check_equal "and the old sentence is gone" null "$(last_error)"
}

# Taking all keys away is allowed, and nobody should have to find out from the counters.
no_keys() {
	cp -p "$topology_dir/keys/box.keys" "$topology_dir/kept.keys"
	: >"$topology_dir/keys/box.keys"
	kill -HUP "$box_pid"
	check "a key file without keys is taken" wait_for 5 reloads_are "done" 7
	check "with a warning that names domain and file" \
		wait_for 5 grep -q 'warning inspector: domain .*: keys/box.keys holds no key' "$topology_dir/halfkeyd.log"
	check "sealed traffic goes by as no-key" pings client 10.9.0.9
	cp -p "$topology_dir/kept.keys" "$topology_dir/keys/box.keys"
	kill -HUP "$box_pid"
	check "and the keys come back" wait_for 5 reloads_are "done" 8
}

# A hook that kills the inspector when it is to take over from an old one: the
# moment between the receivers that go and the swap that never happens.
trapdoor_build() {
	"${CC:-cc}" -std=gnu11 -Wall -Werror -O2 -fPIC -shared -Iinclude -o "$topology_dir/trapdoor.so" -x c - <<-'C'
		#include <stdlib.h>
		#include <halfkey/hook.h>
		static int create(struct hk_hook_setup *setup, void **state, char *error, size_t size)
		{
			(void)setup, (void)error, (void)size;
			return (*state = malloc(1)) ? 0 : -1;
		}
		static int process(void *state, unsigned worker, struct hk_hook_batch *batch)
		{
			(void)state, (void)batch, (void)worker;
			return 0;
		}
		static void adopt(void *state, void *old)
		{
			(void)state, (void)old;
			abort();
		}
		const struct hk_hook hk_hook = {
			.abi = HK_HOOK_ABI, .packet_size = sizeof(struct hk_hook_packet), .name = "trapdoor",
			.summary = "dies of a reload", .create = create, .process = process, .destroy = free, .adopt = adopt,
		};
	C
}

restarts_are() { [ "$(box status --json | jq .processes.restarts)" = "$1" ] && box_ready; }

death_in_the_swap() {
	local before
	check "the hook that dies builds" trapdoor_build
	config "hooks: [{use: ./trapdoor.so}]"
	sed -i '/^domains:/a\  - {name: more, envelope: psp, profile: split, receivers: [198.51.100.0/24], keys: keys/more.keys}' \
		"$topology_dir/halfkey.yaml"
	kill -HUP "$box_pid"
	check "the hook that dies is in force" wait_for 5 reloads_are "done" 9
	before=$(receivers)
	config "hooks: [{use: ./trapdoor.so}]"
	kill -HUP "$box_pid"
	check "an inspector that dies in the swap is replaced" wait_for 10 restarts_are 1
	check "and the reload counts as refused" reloads_are failed 6
	check_equal "the receivers of the old configuration are back" "$before" "$(receivers)"
	check "sealed traffic goes on" pings client 10.9.0.9
}

topology_up 1
sealed_keys
config ""
box_start
sealed_up
check "it inspects" pings client 10.9.0.9
good
more_domains
bad_ones
no_keys
death_in_the_swap
box_conserves "reloads"
sealed_down
test_end
