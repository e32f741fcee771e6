#!/bin/bash
# Rotation without loss, ESP: every suite, with a slot that comes back.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
. tests/net/rotation.sh
test_begin rotation_esp
for suite in ctr-hmac gcm-split cbc-hmac; do
	rotation "esp $suite" "" "--slot 0" --envelope esp --suite $suite
done
rotation "esp gcm" "" "--slot 0" --envelope esp --suite gcm --profile single
topology_up 1
test_end
