# SPDX-License-Identifier: GPL-3.0-or-later
# To be sourced: starts SERVER, which prints its port on loopback, until the script ends. Sets folder, a
# temporary one, and port.
folder=$(mktemp -d)
"$1" >"$folder/server" &
server=$!
trap 'kill "$server" 2>/dev/null; rm -rf "$folder"' EXIT
for _ in $(seq 100); do
  port=$(grep -x '[0-9][0-9]*' "$folder/server") && break
  sleep 0.1
done
[ -n "$port" ] || { echo "$1 did not print its port" >&2; exit 1; }
