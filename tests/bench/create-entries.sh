#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Registers many entries with one command, and prints what that takes: the seconds, the authority's
# memory (PSS) before and after, and the seconds of its next start, check of the database included.
#   create-entries.sh BUILD_DIR [COUNT]
set -eu
program=$(realpath "$1")/authority/assay-authority
count=${2:-100000}
folder=$(mktemp -d)
authority=
finish() {
  [ -z "$authority" ] || kill "$authority" 2>/dev/null || :
  [ -z "$authority" ] || wait "$authority" || :
  rm -rf "$folder"
}
trap finish EXIT
trap 'exit 1' INT TERM

cat > "$folder/server.conf" <<CONF
server { trust_domain = "example.org" bind_address = "127.0.0.1" bind_port = "$((20000 + $$ % 10000))"
  data_dir = "$folder/data" socket_path = "$folder/api.sock" log_level = "warn" }
plugins { DataStore "sql" { plugin_data { database_type = "sqlite3" } }
  KeyManager "disk" { plugin_data {} }
  NodeAttestor "join_token" { plugin_data {} } }
CONF

seconds_since() { awk -v from="$1" -v to="$(date +%s.%N)" 'BEGIN { printf "%.2f", to - from }'; }
pss() { awk '/^Pss:/ { printf "%.1f MB", $2 / 1024 }' "/proc/$authority/smaps_rollup"; }
start() {
  began=$(date +%s.%N)
  "$program" run -config "$folder/server.conf" &
  authority=$!
  until "$program" healthcheck -socketPath "$folder/api.sock" > /dev/null 2>&1; do
    kill -0 "$authority"
    sleep 0.02
  done
  echo "start: $(seconds_since "$began") s, PSS $(pss)"
}

awk -v count="$count" 'BEGIN {
  print "{\"entries\": ["
  for (i = 0; i < count; ++i) {
    printf "{\"selectors\": [{\"type\": \"unix\", \"value\": \"uid:%d\"}, ", i
    printf "{\"type\": \"unix\", \"value\": \"path:/opt/bin/service-%d\"}], ", i
    printf "\"spiffe_id\": \"spiffe://example.org/service/%d\", ", i
    printf "\"parent_id\": \"spiffe://example.org/spire/agent/node-%d\"}%s\n", i % 100,
           i + 1 < count ? "," : ""
  }
  print "]}"
}' > "$folder/entries.json"

start
began=$(date +%s.%N)
"$program" entry create -socketPath "$folder/api.sock" -data "$folder/entries.json" > "$folder/out"
echo "create $count entries: $(seconds_since "$began") s, PSS $(pss)"
"$program" entry count -socketPath "$folder/api.sock"
kill "$authority"
wait "$authority" || :
authority=
start
