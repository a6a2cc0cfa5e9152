#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# assay-agent with external plugins that are built with SPIRE's plugin SDK, under spire-server where it
# is on PATH, else under assay-authority.
#
#   plugins_test.sh BUILD_FOLDER
#
# ASSAY_PLUGINS names a folder with these programs; without it the test is skipped, and says so:
#   workload-attestor  wants the metrics host service and the option label; its selectors are
#                      label:LABEL, uid:ITS-UID and pid:ITS-PID; prints much
#   svid-store         the store "disk" of SPIRE's own integration tests
#   node-attestor      SPIRE's own x509pop
set -euo pipefail
build=$(realpath "$1")
cd "$(dirname "$0")/../.."
source tests/integration/pair.sh

if [[ -z "${ASSAY_PLUGINS:-}" ]]; then
  skip "external plugins: ASSAY_PLUGINS names no folder of them"
  exit 77
fi
has openssl || { skip "openssl is not on PATH"; exit 77; }
upstream=spire-server
has "$upstream" || { skip "spire-server is not on PATH: under assay-authority"; upstream=$authority; }

# Where another user may make sockets, and execute them.
mkdir -m 1777 "$work/tmp"
export TMPDIR=$work/tmp
mkdir "$work/plugins"
cp "$ASSAY_PLUGINS"/{workload-attestor,svid-store,node-attestor} "$work/plugins"
sum() { sha256sum "$work/plugins/$1" | cut -d' ' -f1; }

logged() { grep -qF -- "$1" "$work/agent.log"; }
times_logged() { grep -cF -- "$1" "$work/agent.log" || true; }
awaited() { await "$1" agent logged "$1"; }
agent_pid() { tail -n 1 "$work/pids" | cut -d' ' -f1; }
# A process; of a dead one nobody may have asked how it ended.
ended() { ! grep -q '^State:[[:space:]]*[^ZX]' "/proc/$1/status" 2>"$work/ended.log"; }
plugin_pid() { pgrep -f "^$work/plugins/$1" | head -n 1; }

entry() { # words of `entry create`
  local parent
  parent=$(server_command "$upstream" agent list | awk '/SPIFFE ID/ {print $NF; exit}')
  server_command "$upstream" entry create -parentID "$parent" "$@" >"$work/entry.log"
  awk '/Entry ID/ {print $NF}' "$work/entry.log"
}
fetched() { fetch && grep -qF "$domain/$1" "$work/fetch.log"; }
not_fetched() { ! fetched "$1"; }

start_with() { # the agent's own lines, plugins
  launch_agent "$agent" "log_level = \"DEBUG\" $1" "$2" 'KeyManager "memory" { plugin_data {} }'
}

token() {
  server_command "$upstream" token generate -ttl 600 | sed -n 's/^Token: //p'
}

labels() { # checksum, more
  cat <<CONF
  WorkloadAttestor "labels" {
    plugin_cmd = "$work/plugins/workload-attestor"
    plugin_checksum = "$1"
    plugin_data_file = "$work/labels.conf"
    $2
  }
CONF
}

workload_attestor() {
  local old user=""
  [[ "$(id -u)" -ne 0 ]] || user='plugin_user = "nobody"'
  echo 'label = "blue"' >"$work/labels.conf"
  start_upstream "$upstream"
  start_with "join_token = \"$(token)\"" "NodeAttestor \"join_token\" { plugin_data {} }
    $(labels "$(sum workload-attestor)" "$user")"
  awaited "Node attestation was successful"
  entry -spiffeID "spiffe://$domain/blue" -selector labels:label:blue >/dev/null
  await "an X509-SVID by a plugin's selector" agent fetched blue
  logged 'msg="Label taken" label=blue' || fail "the plugin's log is not in the agent's"
  logged "trust_domain=$domain" || fail "the plugin was not told the trust domain"
  echo "PASSED: a workload attestor's selectors give an X509-SVID"

  if [[ -n "$user" ]]; then
    [[ "$(stat -c %U "/proc/$(plugin_pid workload-attestor)")" == nobody ]] ||
      fail "the plugin is not plugin_user's"
    grep -q '^CapPrm:\s*0*$' "/proc/$(plugin_pid workload-attestor)/status" ||
      fail "the plugin of an ordinary user has capabilities"
    echo "PASSED: it runs as plugin_user, without capabilities"
  fi

  echo 'label = "red"' >"$work/labels.conf"
  kill -USR1 "$(agent_pid)"
  awaited 'msg="Plugin reconfigured"'
  await "a caller without the old selector" agent not_fetched blue
  echo 'label = "blue"' >"$work/labels.conf"
  kill -USR1 "$(agent_pid)"
  await "an X509-SVID by the newest options" agent fetched blue
  echo "PASSED: USR1 gives the plugin its new options"

  old=$(plugin_pid workload-attestor)
  kill -KILL "$old"
  awaited 'msg="Role died and is started anew"'
  await "an X509-SVID after the plugin's death" agent fetched blue
  [[ "$(plugin_pid workload-attestor)" != "$old" ]] || fail "the plugin was not started anew"
  echo "PASSED: a dead plugin is started anew"

  kill -STOP "$(plugin_pid workload-attestor)"
  await "a word about a plugin that does not answer" agent eval \
    "not_fetched blue && logged 'Failed to collect all selectors for PID'"
  kill -CONT "$(plugin_pid workload-attestor)"
  await "an X509-SVID when it answers again" agent fetched blue
  echo "PASSED: a plugin that hangs costs its selectors alone, and not for long"

  stop_all
  [[ -z "$(plugin_pid workload-attestor)" ]] || fail "the plugin outlives the agent"
  [[ -z "$(ls "$work/tmp")" ]] || fail "the plugin's sockets outlive it"
  echo "PASSED: plugins end with the agent"

  echo 'label = ""' >"$work/labels.conf"
  start_upstream "$upstream"
  start_with "join_token = \"$(token)\"" "NodeAttestor \"join_token\" { plugin_data {} }
    $(labels "$(sum workload-attestor)" "")"
  awaited "workloadattestor(labels): label must be set"
  await "the agent's end" agent eval "! kill -0 $(agent_pid)"
  start_with "join_token = \"$(token)\"" "NodeAttestor \"join_token\" { plugin_data {} }
    $(labels "$(sum svid-store)" "")"
  awaited "has SHA-256 $(sum workload-attestor), and not its plugin_checksum"
  await "the agent's end" agent eval "! kill -0 $(agent_pid)"
  echo "PASSED: the agent does not run with bad options or another program than the checksum's"
  stop_all
}

in_store() { grep -q "\"$1\":" "$work/store/svids.json"; }
not_in_store() { ! in_store "$1"; }

svid_store() {
  local id other
  mkdir "$work/store"
  # A plugin that starts a program of its own, and logs much.
  cat >"$work/plugins/with-child" <<SCRIPT
#!/bin/sh
sleep 1000 &
echo \$! >>"$work/children"
seq 3000 >&2
exec "$work/plugins/svid-store" "\$@"
SCRIPT
  chmod 0755 "$work/plugins/with-child"
  start_upstream "$upstream"
  start_with "join_token = \"$(token)\"" "NodeAttestor \"join_token\" { plugin_data {} }
    SVIDStore \"disk\" {
      plugin_cmd = \"$work/plugins/with-child\"
      plugin_data { svids_path = \"$work/store/svids.json\" }
    }"
  awaited "Node attestation was successful"
  id=$(entry -spiffeID "spiffe://$domain/stored" -selector disk:name:one -storeSVID)
  other=$(entry -spiffeID "spiffe://$domain/other" -selector disk:name:other)
  awaited "\"SVID stored successfully\" entry=$id"
  in_store one || fail "the SVID is not in the store"
  grep -q "spiffe://$domain/stored" "$work/store/svids.json" || fail "it is of another SPIFFE ID"
  not_in_store other || fail "an entry that is not for the store is in it"
  awaited 'msg="Plugin logs too much: lines were dropped"'
  logged 'msg=1000 ' || fail "the first lines are not logged"
  logged 'msg=2990 ' && fail "every line of a plugin is logged"
  echo "PASSED: an SVID is put into its store, and what is much too much is not logged"

  local parent
  parent=$(server_command "$upstream" agent list | awk '/SPIFFE ID/ {print $NF; exit}')
  server_command "$upstream" entry update -entryID "$id" -parentID "$parent" \
    -spiffeID "spiffe://$domain/updated" -selector disk:name:two -storeSVID >/dev/null
  await "the SVID at its new place" agent in_store two
  await "nothing at its old place" agent not_in_store one
  await "the new SPIFFE ID" agent grep -q "spiffe://$domain/updated" "$work/store/svids.json"
  echo "PASSED: another place is a delete and a put"

  kill -KILL "$(plugin_pid svid-store)"
  awaited 'msg="Role died and is started anew"'
  await "the SVID in the store anew" agent in_store two
  echo "PASSED: a store that is started anew is given everything again"
  await "what the plugin starts" agent eval '[[ "$(wc -l <"$work/children")" -eq 2 ]]'
  await "the end of what the old one started" agent ended "$(head -n 1 "$work/children")"
  echo "PASSED: what a plugin has started ends with it"

  server_command "$upstream" entry delete -entryID "$id" >/dev/null
  await "an empty store" agent not_in_store two
  server_command "$upstream" entry delete -entryID "$other" >/dev/null
  echo "PASSED: a removed entry's SVID is taken out"

  sed -i 's/log_level = "DEBUG"/& log_format = "json"/' "$work/agent.conf"
  kill -HUP "$(agent_pid)"
  awaited '"msg":"Configuration reloaded"'
  kill -KILL "$(plugin_pid svid-store)"
  await "the end of the plugin's role as JSON" agent grep -q '"msg":"Role failed".*"plugin' \
    "$work/agent.log"
  logged "Plugin reconfigured" && fail "options of the log alone reconfigure a plugin"
  echo "PASSED: HUP takes up the log's options in a plugin's role"
  stop_all
  await "the end of what the last one started" agent ended "$(tail -n 1 "$work/children")"
}

node_attestor() {
  make_pop_ca
  make_pop_node plugin -newkey ec -pkeyopt ec_paramgen_curve:P-256
  start_upstream "$upstream"
  start_with "" "NodeAttestor \"x509pop\" {
      plugin_cmd = \"$work/plugins/node-attestor\"
      plugin_data {
        private_key_path = \"$work/pop-plugin.key\"
        certificate_path = \"$work/pop-plugin.pem\"
        intermediates_path = \"$work/pop-between.pem\"
      }
    }"
  awaited "Node attestation was successful"
  server_command "$upstream" agent list | grep -q "spire/agent/x509pop/" ||
    fail "the node is not attested by x509pop"
  create_entry "$upstream" 3600
  await "an X509-SVID" agent fetch
  echo "PASSED: a node attestor's payload and answers are taken by ${upstream##*/}"
  stop_all
}

workload_attestor
svid_store
node_attestor
