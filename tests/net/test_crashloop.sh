#!/bin/bash
# Keys of the control socket survive a crash of the inspector, so a key that kills
# whoever loads it would do so for ever. After four quick ends they are dropped, and
# said to be; the keys of files stay in force. kill -9 is what such a key does, as
# the starter sees it.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
test_begin crashloop

inspector() { box status --json | jq -r .processes.inspector; }
another_inspector() { local now; now=$(inspector); [ -n "$now" ] && [ "$now" != "$1" ] && box_ready; }
opened() { [ "$(box_count ok)" -ge "$1" ]; }
pushed() { box keys list --json | jq '[.[] | select(.source == "the control socket")] | length'; }
from_files() { box keys list --json | jq -c '[.[] | select(.source != "the control socket") | .fingerprint] | sort'; }

topology_up 1
sealed_keys
{ echo "mode: inline"; sealed_domains; } | box_config
box_start
sealed_up
old=$(inspector)
before=$(from_files)
opened=$(box_count ok)
echo "receiver=192.0.2.9 spi=77 version=5 side=enc key=$(openssl rand -hex 32)" |
	check "a key is pushed" box keys add tunnel -
for i in 1 2 3; do
	kill -9 "$old"
	check "inspector $i is replaced" wait_for 30 another_inspector "$old"
	old=$(inspector)
	check_equal "after $i the pushed key is in force" 1 "$(pushed)"
done
check_equal "nothing was dropped so far" 0 "$(box status --json | jq .processes.keys_dropped)"
kill -9 "$old"
check "the fourth is replaced" wait_for 30 another_inspector "$old"
check_equal "without the pushed key" 0 "$(pushed)"
check_equal "and with those of files, which are as they were" "$before" "$(from_files)"
check_equal "status counts it" 1 "$(box status --json | jq .processes.keys_dropped)"
check "status says it" grep -q '1 key of the control socket DROPPED after repeated crashes' <<<"$(box status)"
check "metrics, too" grep -q '^halfkey_pushed_keys_dropped_total.* 1$' <<<"$(box stats --prometheus)"
check "so does the log" wait_for 5 grep -q 'keys: 1 from the control socket dropped' "$topology_dir/halfkeyd.log"
check "the tunnel's traffic goes on" pings client 10.9.0.9
check "and is opened" wait_for 10 opened $((opened + 3))
echo "receiver=192.0.2.9 spi=77 version=5 side=enc key=$(openssl rand -hex 32)" |
	check "a key can be pushed again" box keys add tunnel -
old=$(inspector)
kill -9 "$old"
check "one more crash" wait_for 30 another_inspector "$old"
check_equal "drops nothing: the count began anew" "1 1" "$(pushed) $(box status --json | jq .processes.keys_dropped)"
box_conserves "a crash loop"
sealed_down
test_end
