#!/bin/bash
# Rotation without loss, PSP: both profiles, and each root of three levels.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
. tests/net/rotation.sh
test_begin rotation_psp
rotation psp-split "" ""
rotation psp-single "" "" --profile single
# The roots of region and of each receiver's task change first, then those of group and task.
rotation levels "--level region --level group=DIR/keys.1/levels.keys --level task" \
	"--level region=DIR/keys.2/levels.keys --level group --level task" \
	--level region --level group --level task
topology_up 1
test_end
