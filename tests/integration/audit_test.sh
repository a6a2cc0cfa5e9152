#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The audit log of an agent: what its lines say of who got what, its chain through rotations, a serve
# role and an agent that are killed, and a full disk; and that `audit verify` finds what was tampered
# with.
#
#   audit_test.sh BUILD_FOLDER
set -euo pipefail
build=$(realpath "$1")
cd "$(dirname "$0")/../.."
source tests/integration/pair.sh
for tool in openssl jq; do
  has "$tool" || { skip "$tool is not on PATH"; exit 77; }
done

readonly trail=$work/audit/audit.log
readonly id=spiffe://$domain/workload
run_agent() {
  start agent "$agent" run -config "$work/agent.conf"
  agent_pid=$(tail -n 1 "$work/pids" | cut -d' ' -f1)
}
api() { "$agent" api "$@" -socketPath "$work/api/api.sock"; }
# Lines of this kind, or of what else jq selects.
lines() { jq -c "select($1)" "$trail"; }
of_kind() { lines ".kind == \"$1\""; }
count() { of_kind "$1" | wc -l; }
verify() { "$agent" audit verify "$@" >"$work/verify.log" 2>&1; }
verified() { verify "$@" || fail "the log is not in order: $(cat "$work/verify.log")"; }
found() { # what is said, files
  local wanted=$1 status=0
  shift
  verify "$@" || status=$?
  [[ "$status" -eq 1 ]] || fail "status $status where $wanted"
  grep -qF "$wanted" "$work/verify.log" || fail "$(cat "$work/verify.log"), wanted $wanted"
}
role() { pgrep -P "$agent_pid" -x "assay-$1" || true; }

start_upstream "$authority"
token=$(server_command "$authority" token generate -ttl 600 | sed -n 's/^Token: //p')
mkdir -m 0700 "$work/agent" "$work/audit"
mkdir -m 0755 "$work/api"
cat >"$work/agent.conf" <<CONF
agent {
  trust_domain = "$domain"
  server_address = "127.0.0.1"
  server_port = "$port"
  trust_bundle_path = "$work/bundle.pem"
  data_dir = "$work/agent"
  socket_path = "$work/api/api.sock"
  join_token = "$token"
  audit_log { file = "$trail" }
}
plugins {
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "disk" { plugin_data { directory = "$work/agent" } }
  WorkloadAttestor "unix" { plugin_data { discover_workload_path = true } }
}
CONF
run_agent
await "node attestation" agent grep -q "Node attestation was successful" "$work/agent.log"
create_entry "$authority" 3600
entry=$(awk '/Entry ID/ {print $NF}' "$work/entry.log")
await "an X509-SVID" agent fetch

[[ "$(stat -c %a "$trail")" == 600 ]] || fail "others can read the audit log"
serial=$(openssl x509 -in "$work/svids/svid.0.pem" -noout -serial | cut -d= -f2)
digest=$(sha256sum "$agent" | cut -d' ' -f1)
logged() { of_kind x509_svid | tail -n 1 | jq -e "$@" >/dev/null; }
await "a line" agent logged .
logged --arg entry "$entry" --arg id "$id" --arg digest "$digest" --argjson uid "$(id -u)" \
  '.entry == $entry and .spiffe_id == $id and .executable_sha256 == $digest and .uid == $uid and
   .service == "WorkloadAPI" and .method == "FetchX509SVID" and (.time | length) == 27' ||
  fail "the line says $(of_kind x509_svid | tail -n 1)"
decimal=$(of_kind x509_svid | tail -n 1 | jq -r .serial)
if has bc; then
  [[ "$(BC_LINE_LENGTH=0 bc <<<"obase=16; $decimal")" == "${serial#"${serial%%[!0]*}"}" ]] ||
    fail "serial $decimal is not $serial"
fi
api fetch jwt -audience y,x >"$work/jwt.log"
lines '.kind == "jwt_svid"' | tail -n 1 | jq -e --arg id "$id" \
  '.spiffe_id == $id and .audience == ["x", "y"] and .method == "FetchJWTSVID" and .expires' \
  >/dev/null || fail "of the JWT-SVID the log says: $(of_kind jwt_svid)"
token=$(sed -n 2p "$work/jwt.log" | tr -d '\t ')
[[ "${#token}" -gt 100 ]] || fail "no token in: $(cat "$work/jwt.log")"
grep -qF -- "${token##*.}" "$trail" && fail "the token's signature is in the log"
verified "$trail"
echo "PASSED: a line for each key and each token, with who got it"

start watch "$agent" api watch -socketPath "$work/api/api.sock"
watcher=$(tail -n 1 "$work/pids" | cut -d' ' -f1)
of_watcher() { lines ".kind == \"x509_svid\" and .pid == $watcher"; }
told() { [[ "$(of_watcher | wc -l)" -ge 1 ]]; }
await "a line of a stream" watch told
ticks=$(awk '{print $22}' "/proc/$watcher/stat")
of_watcher | tail -n 1 | jq -e --argjson ticks "$ticks" \
  --arg cgroup "$(tail -n 1 "/proc/$watcher/cgroup" | cut -d: -f3-)" \
  '.pid_start_ticks == $ticks and (.cgroup | endswith($cgroup) or length > 0) and
   ((.pid_started | sub("\\.[0-9]+Z"; "Z") | fromdate) - (.time | sub("\\.[0-9]+Z"; "Z") |
     fromdate) | fabs) < 60' >/dev/null || fail "of a stream's process: $(of_watcher)"
before=$(of_watcher | wc -l)
server_command "$authority" entry update -entryID "$entry" -parentID "$(server_command "$authority" \
  agent list | awk '/SPIFFE ID/ {print $NF; exit}')" -spiffeID "$id" \
  -selector "unix:uid:$(id -u)" -x509SVIDTTL 3600 -dns changed.test >/dev/null
updated() { [[ "$(of_watcher | wc -l)" -gt "$before" ]]; }
await "a line of an update" watch updated
echo "PASSED: a stream's first message and each update have lines, with the process's start and cgroup"

lines_before=$(wc -l <"$trail")
mv "$trail" "$trail.1"
kill -HUP "$agent_pid"
await "a new file" agent test -s "$trail"
fetch || fail "nothing is served after a rotation"
verified "$trail.1" "$trail"
last=$(tail -n 1 "$trail.1" | jq -r .hash)
[[ "$(head -n 1 "$trail" | jq -r .previous)" == "$last" ]] || fail "the new file begins elsewhere"
[[ "$(wc -l <"$trail.1")" -eq "$lines_before" ]] || fail "the old file has other lines"
found "a log begins anew here" "$trail" "$trail.1"
echo "PASSED: the next file begins with the hash of the last line of the old one"

cp "$trail.1" "$work/copy"
total=$(wc -l <"$work/copy")
tampered() { # what is found, sed script
  sed "$2" "$trail.1" >"$work/copy"
  found "$1" "$work/copy"
}
tampered "$work/copy:2: it is not what its hash" "2s/\"uid\":/\"uid\":1/"
tampered "$work/copy:3: it does not follow" "3d"
tampered "$work/copy:2: it does not follow" "2{h;d};3{G}"
tampered "$work/copy:$((total + 1)): " "\$a {}"
head -c -20 "$trail.1" >"$work/copy"
found "$work/copy:$total: the last line is cut off" "$work/copy"
head -n -1 "$trail.1" >"$work/copy"
verified "$work/copy"
found "no line has the hash" -anchor "$last" "$work/copy"
verified -anchor "$last" "$trail.1" "$trail"
echo "PASSED: a line that was changed, removed, swapped, appended or cut off is found"

serve=$(role serve)
kill -KILL "$serve"
served() { [[ "$(role serve)" != "$serve" ]] && fetch; }
await "another serve role" agent served
verified "$trail.1" "$trail"
# The monitor itself: what is half written stays, and is told of.
serve=$(role serve)
kill -KILL "$agent_pid"
ended() { [[ ! -d "/proc/$serve" ]]; }
wait "$agent_pid" 2>/dev/null || true
printf '{"time":"2' >>"$trail"
await "the end of the roles" agent ended
run_agent
await "an X509-SVID after a crash" agent fetch
verified "$trail.1" "$trail"
grep -q "a piece of a line" "$work/verify.log" || fail "of the piece verify says nothing"
grep -q "Audit log ends with what is no line" "$work/agent.log" || fail "nor does the agent"
echo "PASSED: the chain goes on after a serve role and an agent were killed"

kill -TERM "$agent_pid"
wait "$agent_pid" || fail "the agent did not stop in order"
[[ "$(tail -n 1 "$trail" | jq -r .kind)" == closed ]] || fail "the log does not say that it was closed"
verified "$trail.1" "$trail"

small=$work/small
mkdir "$small"
if [[ "$(id -u)" -ne 0 ]] || ! mount -t tmpfs -o size=16k,mode=0700 none "$small" 2>/dev/null; then
  skip "a full disk: no file system can be mounted here"
  exit 0
fi
trap 'umount "$small"; clean_up' EXIT
for when in refuse serve; do
  rm -f "$small"/*
  sed -i "s|audit_log {.*|audit_log { file = \"$small/audit.log\" when_unwritable = \"$when\" }|" \
    "$work/agent.conf"
  run_agent
  await "an X509-SVID with a log on a small disk" agent fetch
  dd if=/dev/zero of="$small/full" bs=1k count=64 2>/dev/null || true
  full() { api fetch jwt -audience "x$((++asked))" >"$work/full.log" 2>&1
    grep -q "Audit log cannot be written" "$work/agent.log"; }
  asked=0
  await "a full disk" agent full
  if [[ "$when" == refuse ]]; then
    refused() { ! api fetch jwt -audience x >"$work/full.log" 2>&1; }
    await "a refusal" agent refused
    grep -q "code = Unavailable desc = the audit log cannot be written" "$work/full.log" ||
      fail "who is refused is told $(cat "$work/full.log")"
    fetch && fail "a key was handed out without a line"
  else
    fetch || fail "nothing is served though the configuration asks for it"
  fi
  rm "$small/full"
  await "service when there is room" agent fetch
  again() { grep -q "Audit log is written again" "$work/agent.log"; }
  await "a log that is written again" agent again
  kill -TERM "$agent_pid"
  wait "$agent_pid" || fail "the agent did not stop in order"
  verified "$small/audit.log"
done
echo "PASSED: with a full disk nothing is handed out, or all the same where that is asked for"
