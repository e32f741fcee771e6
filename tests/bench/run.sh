#!/bin/bash
# All benchmarks: `make bench`, or `make bench BENCH=-q` for a quick look.
# Tables here, JSON in $O/bench/. How to read them: docs/benchmarks.md.
set -u
cd "$(dirname "$0")/../.." || exit 1
O=${O:-build}
export O
quick=${1:-}
status=0

echo "== in memory, one core: the pipeline beside the bare crypto library"
# shellcheck disable=SC2086
"$O/bench/memory" $quick -p "$O/bench/noop.so" -o "$O/bench/memory.json" || status=1
echo
echo "== what each envelope costs, 256-byte packets"
# shellcheck disable=SC2086
tests/bench/envelopes.sh $quick "$O/bench/captures.json" || status=1
echo
echo "== the firewall hook: what rules cost"
# shellcheck disable=SC2086
"$O/bench/firewall" $quick -o "$O/bench/firewall.json" || status=1
echo
echo "== over veth: with inspection beside without"
# shellcheck disable=SC2086
tests/bench/veth.sh $quick "$O/bench/veth.json" || status=1
echo
echo "written: $O/bench/memory.json $O/bench/captures.json $O/bench/firewall.json $O/bench/veth.json"
exit $status
