#!/bin/sh
# Runs a command as root: directly where we are root, through sudo elsewhere.
set -eu
if [ "$(id -u)" -eq 0 ]; then
	exec "$@"
fi
command -v sudo >/dev/null || { echo "as-root.sh: '$1' needs root: run make as root, or install sudo" >&2; exit 1; }
exec sudo O="${O:-build}" "$@"
