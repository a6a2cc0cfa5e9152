#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# JWT-SVIDs by the agents' commands: those of assay-agent under assay-authority and spire-server,
# and of spire-agent under assay-authority, each fetched and validated by both agents' clients; what
# the reference's command prints; tokens served while the upstream is away; more of them than the
# cache has room for; a tainted authority, and one that makes none.
#
#   jwt_test.sh BUILD_FOLDER
#
# spire-agent and spire-server are found on PATH; what is not there is skipped, and said.
set -euo pipefail
build=$(realpath "$1")
cd "$(dirname "$0")/../.."
source tests/integration/pair.sh

readonly id=spiffe://$domain/workload
api() { # client's program, words of the command
  local client=$1
  shift
  "$client" api "$@" -socketPath "$work/api/api.sock"
}
token() { # client's program, audience
  api "$1" fetch jwt -audience "$2" -spiffeID "$id" -output json |
    jq -er --arg id "$id" '.[0].svids[] | select(.spiffe_id == $id) | .svid'
}
claims() { # token
  local part
  part=$(cut -d. -f2 <<<"$1" | tr '_-' '/+')
  while (( ${#part} % 4 )); do part+="="; done
  base64 -d <<<"$part"
}
refused() { # what it is to say, command
  local wanted=$1 got status=0
  shift
  got=$("$@" 2>&1 >/dev/null) || status=$?
  [[ "$status" -eq 1 && "$got" == *"$wanted"* ]] || fail "$*: status $status: $got"
}

check_client() { # client's program
  local got pretty
  await "a JWT-SVID by ${1##*/}" agent token "$1" x
  got=$(token "$1" y,x)
  claims "$got" | jq -e --arg id "$id" '.sub == $id and (.aud | sort) == ["x", "y"] and
    .exp > now' >/dev/null || fail "the JWT-SVID says $(claims "$got")"
  [[ "$(token "$1" x,y)" == "$got" ]] || fail "${1##*/} got another JWT-SVID for the same audience"
  pretty=$(api "$1" fetch jwt -audience x -spiffeID "$id")
  [[ "$(head -n 1 <<<"$pretty")" == "token($id):" ]] || fail "the output begins otherwise: $pretty"
  grep -q "^bundle(spiffe://$domain):" <<<"$pretty" || fail "there is no bundle: $pretty"
  pretty=$(api "$1" validate jwt -audience y -svid "$got")
  [[ "$(head -n 2 <<<"$pretty")" == "SVID is valid."$'\n'"SPIFFE ID : $id" ]] ||
    fail "validate printed $pretty"
  api "$1" validate jwt -audience y -svid "$got" -output json |
    jq -e --arg id "$id" '.spiffe_id == $id and .claims.sub == $id' >/dev/null ||
    fail "validate printed no JSON"
  refused 'SVID is not valid: expected audience in ["other"] (audience=["' \
    api "$1" validate jwt -audience other -svid "$got"
  refused "SVID is not valid: " api "$1" validate jwt -audience x -svid "${got%??????}AAAAAA"
  refused "rpc error: code = PermissionDenied desc = no identity issued" \
    api "$1" fetch jwt -audience x -spiffeID "spiffe://$domain/other"
  refused "audience must be specified" api "$1" fetch jwt
}

# With an entry beside the workload's whose JWT-SVIDs differ.
check_unique() {
  local parent unique=spiffe://$domain/unique
  parent=$(server_command "$1" agent list | awk '/SPIFFE ID/ {print $NF; exit}')
  server_command "$1" entry create -parentID "$parent" -spiffeID "$unique" \
    -selector "unix:uid:$(id -u)" -jwtSVIDIncludeJTI >"$work/entry.log"
  jti() {
    local got
    got=$(api "$agent" fetch jwt -audience x -spiffeID "$unique" -output json) || return 1
    claims "$(jq -er '.[0].svids[0].svid' <<<"$got")" | jq -er .jti
  }
  await "a JWT-SVID with a jti" agent jti
  [[ "$(jti)" != "$(jti)" ]] || fail "two JWT-SVIDs of an entry with -jwtSVIDIncludeJTI are one"
}

check_outage() { # the server's process ends
  local before began upstream
  before=$(token "$agent" outage)
  read -r upstream _ <"$work/pids"
  kill "$upstream"
  wait "$upstream" || true
  began=$(date +%s%N)
  [[ "$(token "$agent" outage)" == "$before" ]] || fail "another JWT-SVID without an upstream"
  (( $(date +%s%N) - began < 3000000000 )) || fail "a valid JWT-SVID was held up by the outage"
  api "$agent" validate jwt -audience outage -svid "$before" >/dev/null ||
    fail "no validation without an upstream"
}

# More identities than the cache has room for; then a tainted authority, and none at all.
check_limits() {
  local parent token old new i upstream
  start_upstream spire-server
  token=$(server_command spire-server token generate -ttl 600 | sed -n 's/^Token: //p')
  start_agent "$agent" "join_token = \"$token\"
    admin_socket_path = \"$work/admin/admin.sock\"
    jwt_svid_cache_max_size = 8" 'NodeAttestor "join_token" { plugin_data {} }'
  parent=$(server_command spire-server agent list | awk '/SPIFFE ID/ {print $NF; exit}')
  for i in $(seq 10); do
    server_command spire-server entry create -parentID "$parent" -selector "unix:uid:$(id -u)" \
      -spiffeID "spiffe://$domain/workload-$i" >"$work/entry.log"
  done
  has_ten() { [[ "$(api "$agent" fetch jwt -audience x | grep -c "^token(")" -eq 10 ]]; }
  cached() {
    "$agent" debug getinfo -output json -socketPath "$work/admin/admin.sock" |
      jq -e --argjson count "$1" '.cached_jwt_svids_count == $count' >/dev/null
  }
  await "JWT-SVIDs of ten identities" agent has_ten
  await "a cache of eight" agent cached 8
  authority_id() {
    server_command spire-server localauthority jwt "$@" -output json | jq -er '.[].authority_id?'
  }
  old=$(authority_id show | head -n 1)
  new=$(authority_id prepare)
  authority_id activate -authorityID "$new" >/dev/null
  authority_id taint -authorityID "$old" >/dev/null
  await "the end of what the tainted authority signed" agent cached 0
  grep -q "JWT-SVIDs were removed from the JWT cache because .* by a tainted authority" \
    "$work/agent.log" || fail "the log does not tell of the tainted JWT-SVIDs"
  has_ten || fail "no JWT-SVIDs after the authority was tainted"
  read -r upstream _ <"$work/pids"
  kill "$upstream"
  wait "$upstream" || true
  sed -i 's/^  trust_domain/  disable_jwt_svids = true\n&/' "$work/server.conf"
  start server spire-server run -config "$work/server.conf"
  await "a healthy spire-server" server server_command spire-server healthcheck
  refused "could not fetch JWT-SVID: failed to fetch JWT SVID: rpc error: code = Unimplemented \
desc = JWT functionality is disabled" api "$agent" fetch jwt -audience new -timeout 20s
  echo "PASSED: a full cache, a tainted authority and none, under spire-server"
  stop_all
}

for tool in jq; do
  has "$tool" || { skip "$tool is not on PATH"; exit 77; }
done
for server in "$authority" spire-server; do
  for workload_agent in "$agent" spire-agent; do
    if ! has "$server" || ! has "$workload_agent"; then
      skip "${workload_agent##*/} under ${server##*/}: not both on PATH"
      continue
    fi
    # What stands beside itself says nothing of ours.
    [[ "$server $workload_agent" != "spire-server spire-agent" ]] || continue
    start_upstream "$server"
    attest_by_token "$server" "$workload_agent"
    create_entry "$server" 600
    for client in "$agent" spire-agent; do
      has "$client" || continue
      check_client "$client"
      echo "PASSED: ${client##*/}'s commands on ${workload_agent##*/} under ${server##*/}"
    done
    if [[ "$workload_agent" == "$agent" ]]; then
      check_unique "$server"
      check_outage
      echo "PASSED: $(basename "$workload_agent") without ${server##*/}"
    fi
    stop_all
  done
done
if has spire-server; then
  check_limits
else
  skip "what needs spire-server: it is not on PATH"
fi
