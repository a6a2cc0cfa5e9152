#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The admin socket by the agent's commands: debug getinfo; logger get, set and reset, which change
# the level of every role; explain, of a process and of a call that was refused.
#
#   admin_test.sh BUILD_FOLDER
set -euo pipefail
build=$(realpath "$1")
cd "$(dirname "$0")/../.."
source tests/integration/pair.sh

readonly socket=$work/admin/admin.sock
run() { "$agent" "$@" -socketPath "$socket"; }
expect() { # what it is to print, command
  local wanted=$1 got
  shift
  got=$(run "$@") || fail "$* has failed"
  [[ "$got" == "$wanted" ]] || fail "$*: printed: $got"
}
refused() { # status 1 and these words, command
  local wanted=$1 got status=0
  shift
  got=$("$@" 2>&1 >/dev/null) || status=$?
  [[ "$status" -eq 1 && "$got" == *"$wanted"* ]] || fail "$*: status $status: $got"
}
is_refused() { ! fetch; }
logged() { grep -qF -- "$1" "$work/agent.log"; }

for tool in openssl jq; do
  has "$tool" || { skip "$tool is not on PATH"; exit 77; }
done
start_upstream "$authority"
token=$(server_command "$authority" token generate -ttl 600 | sed -n 's/^Token: //p')
start_agent "$agent" "join_token = \"$token\"
  admin_socket_path = \"$socket\"" 'NodeAttestor "join_token" { plugin_data {} }'
create_entry "$authority" 600
await "an X509-SVID" agent fetch

[[ "$(stat -c %a "$socket")" == 770 ]] || fail "the admin socket has another mode"
run debug getinfo -output json >"$work/info.json"
parent=$(server_command "$authority" agent list | awk '/SPIFFE ID/ {print $NF}')
jq -e --arg id "${parent#spiffe://$domain}" '.cached_x509_svids_count == 1 and .svids_count == 1 and
  (.svid_chain | length) == 2 and .svid_chain[0].id.path == $id and .svid_chain[1].id.path == "" and
  (.last_sync_success | tonumber) > 0' "$work/info.json" >/dev/null ||
  fail "debug getinfo tells something else: $(cat "$work/info.json")"
run debug getinfo | grep -q "    \[0\] SPIFFE ID:  $parent" || fail "debug getinfo shows no chain"
echo "PASSED: debug getinfo"

run explain -pid $$ -output json >"$work/explain.json"
jq -e --arg id "spiffe://$domain/workload" --arg uid "unix:uid:$(id -u)" '
  .explanation | .matched_count == 1 and .matched[0].spiffe_id == $id and .matched[0].has_svid and
  .attestors[0].name == "unix" and (.attestors[0].selectors | index($uid) != null)' \
  "$work/explain.json" >/dev/null || fail "explain tells something else: $(cat "$work/explain.json")"
run explain -pid $$ | grep -qF "  1 of 1 entries matches" || fail "explain shows no entries"
refused "Error: rpc error: code = NotFound desc = there is no process 2147483647" \
  "$agent" explain -pid 2147483647 -socketPath "$socket"
refused "Error: -pid 0 is no process's number" "$agent" explain -pid 0 -socketPath "$socket"
refused 'Error: rpc error: code = NotFound desc = no refusal of reason "X" is remembered' \
  "$agent" explain -reason X -socketPath "$socket"
echo "PASSED: explain a process"

info=$'Logger Level : info\nLaunch Level : info'
expect "$info" logger get
logged level=debug && fail "details are logged that were not asked for"
expect $'Logger Level : debug\nLaunch Level : info' logger set -level DEBUG
expect '{"current_level":"DEBUG","launch_level":"INFO"}' logger get -output json
server_command "$authority" entry delete -entryID "$(awk '/Entry ID/ {print $NF}' "$work/entry.log")" \
  >/dev/null
await "the identity role's details" agent logged 'level=debug msg="Entry removed"'
await "a refusal" agent is_refused
reason=$(grep -o 'reason=[0-9A-Z]*' "$work/fetch.log") || fail "no reason: $(cat "$work/fetch.log")"
grep -qF "code = PermissionDenied desc = no identity issued ($reason)" "$work/fetch.log" ||
  fail "refused otherwise: $(cat "$work/fetch.log")"
logged " $reason " || fail "the log does not have $reason"
run explain -reason "$reason" >"$work/explain.log"
grep -qF "Refusal ${reason#reason=}: no identity issued" "$work/explain.log" &&
  grep -qF "      unix:uid:$(id -u)" "$work/explain.log" &&
  grep -qF "  0 of 0 entries match" "$work/explain.log" ||
  fail "explain shows: $(cat "$work/explain.log")"
run explain -output json | jq -e --arg reason "${reason#reason=}" '
  .refusals[0].reason == $reason and
  .refusals[0].method == "FetchX509SVID" and .refusals[0].explanation.entries_count == 0' \
  >/dev/null || fail "explain prints other JSON"
grep "No identity issued" "$work/agent.log" | grep -q "unix:" && fail "the log has selectors"
echo "PASSED: explain a refusal"

expect "$info" logger reset
expect $'Logger Level : warning\nLaunch Level : info' logger set -level warn
expect "$info" logger reset
echo "PASSED: logger"

refused 'Error: the value "loud" is not a valid setting' "$agent" logger set -level loud \
  -socketPath "$socket"
refused 'Error: a value (-level) must be set' "$agent" logger set -socketPath "$socket"
refused "failed to reset logger: rpc error: code = Unavailable desc = connection error: desc = \
\"transport: Error while dialing: dial unix //$work/none: connect: no such file or directory\"" \
  "$agent" logger reset -socketPath "$work/none"
echo "PASSED: what cannot be done is said"
