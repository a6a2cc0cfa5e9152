#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A node attested by a join token moves from spire-agent to assay-agent and back with its data
# folder, under spire-server: no new token, the same node, no identity lost. Then damaged files.
#
#   data_folder_test.sh BUILD_FOLDER
set -euo pipefail
build=$(realpath "$1")
cd "$(dirname "$0")/../.."
source tests/integration/pair.sh

end_agent() {
  local pid
  pid=$(tail -n 1 "$work/pids" | cut -d' ' -f1)
  kill -TERM "$pid" 2>/dev/null || true
  wait "$pid" || true
  sed -i '$d' "$work/pids"
  cat "$work/agent.log" >>"$work/agents.log"
}

begin() { # program
  start agent "$1" run -config "$work/agent.conf"
  await "an X509-SVID of ${1##*/}" agent fetch
}

check_node() { # program
  [[ "$(server_command spire-server agent list | grep -c 'SPIFFE ID')" -eq 1 ]] ||
    fail "the server knows another node after ${1##*/}"
  if grep -q "Starting node attestation" "$work/agent.log"; then
    fail "${1##*/} attested the node anew"
  fi
  for file in agent-data.json keys.json; do
    [[ "$(stat -c %a "$work/agent/$file")" == 600 ]] || fail "$file has mode $(stat -c %a "$work/agent/$file")"
  done
}

has spire-server && has spire-agent || { skip "spire-server and spire-agent are not on PATH"; exit 77; }
has openssl || { skip "openssl is not on PATH"; exit 77; }
start_upstream spire-server
attest_by_token spire-server spire-agent
create_entry spire-server 600
await "an X509-SVID of spire-agent" agent fetch
sed -i '/join_token =/d' "$work/agent.conf"
# As a data folder often is: not the agent's alone.
mkdir "$work/agent/other"

owner=""
for program in "$agent" spire-agent "$agent"; do
  end_agent
  # What spire-agent has written as root this agent's user may not read, until it is given to him.
  if [[ -n "$owner" && "$program" == "$agent" ]]; then
    ! "$agent" run -config "$work/agent.conf" >"$work/refused.log" 2>&1 ||
      fail "the agent starts with another user's data"
    grep -q "another agent has written it: give the files of $work/agent to this one's user" \
      "$work/refused.log" || { cat "$work/refused.log"; fail "nothing was said of the data's user"; }
    chown "$owner" "$work/agent"/*.json
  fi
  begin "$program"
  check_node "$program"
  [[ -n "$owner" ]] || owner=$(stat -c %u:%g "$work/agent/keys.json")
  echo "PASSED: ${program##*/} takes over the data folder"
done

# Neither file blocks a node that can be attested again.
for tool in swtpm swtpm_setup; do
  has "$tool" || { skip "$tool is not on PATH"; exit 0; }
done
end_agent
stop_all
make_devid_ca "$work/devid-ca"
start_software_tpm "$work/tpm"
make_devid ec-p256
start_upstream spire-server
attest_by_devid "$agent" "$work/devid-ec-p256"
create_entry spire-server 600
for file in keys.json agent-data.json; do
  await "an X509-SVID" agent fetch
  end_agent
  printf '{"keys":' >"$work/agent/$file"
  begin "$agent"
  grep -q "Damaged file was set aside.*file=$work/agent/$file" "$work/agent.log" ||
    fail "nothing was said of a damaged $file"
  [[ "$(cat "$work/agent/$file.damaged")" == '{"keys":' ]] || fail "$file was not kept"
  grep -q "Node attestation was successful" "$work/agent.log" || fail "the node is not attested"
  echo "PASSED: a damaged $file is set aside and the node attested anew"
done
