#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The agent's signals: HUP and USR1 read the configuration anew, USR2 opens the log file anew, TERM
# ends the agent with status 0 in less than 10 seconds.
#
#   signals_test.sh BUILD_FOLDER
set -euo pipefail
build=$(realpath "$1")
cd "$(dirname "$0")/../.."
source tests/integration/pair.sh

logged() { grep -qF -- "$1" "$work/agent.out"; }
awaited() { await "$1" agent logged "$1"; }
change() { sed -i "$1" "$work/agent.conf"; }

has openssl || { skip "openssl is not on PATH"; exit 77; }
start_upstream "$authority"
printf 'workload_size_limit = 5\n' >"$work/unix.conf"
token=$(server_command "$authority" token generate -ttl 600 | sed -n 's/^Token: //p')
mkdir -m 0700 "$work/agent"
mkdir -m 0755 "$work/api"
cat >"$work/agent.conf" <<CONF
agent {
  trust_domain = "$domain"
  server_address = "127.0.0.1"
  server_port = "\$ASSAY_TEST_PORT"
  trust_bundle_path = "$work/bundle.pem"
  data_dir = "$work/agent"
  socket_path = "$work/api/api.sock"
  log_file = "$work/agent.out"
  join_token = "$token"
  profiling_enabled = true
}
plugins {
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "memory" { plugin_data {} }
  WorkloadAttestor "unix" { plugin_data_file = "$work/unix.conf" }
}
CONF
ASSAY_TEST_PORT=$port start agent "$agent" run -config "$work/agent.conf" -expandEnv
agent_pid=$(tail -n 1 "$work/pids" | cut -d' ' -f1)
await "a log file" agent test -s "$work/agent.out"
awaited 'msg="Starting agent APIs"'
logged "agent.profiling_enabled has no effect: Go's profiler is not in this program" ||
  fail "nothing was said of an option that makes no sense here"
logged "level=debug" && fail "details are logged that were not asked for"

change 's/profiling_enabled = true/log_level = "DEBUG"/'
kill -HUP "$agent_pid"
awaited 'msg="Configuration reloaded" options=agent.log_level'
create_entry "$authority" 600
awaited 'level=debug msg="Entry created"'
echo "PASSED: HUP takes up the log level"

change "s|api/api.sock|api/other.sock|"
kill -HUP "$agent_pid"
awaited 'msg="Option has changed and needs a restart of the agent" option=agent.socket_path'
change 's/log_level = "DEBUG"/log_level = "LOUD"/'
kill -HUP "$agent_pid"
awaited 'msg="Configuration was not reloaded" error='
"$agent" healthcheck -socketPath "$work/api/api.sock" >/dev/null ||
  fail "the agent does not serve after a configuration that is wrong"
echo "PASSED: HUP names what needs a restart, and what is wrong"

if [[ "$(id -u)" -eq 0 ]]; then
  install -m 0600 "$work/bundle.pem" "$work/renewed.pem"
  mv "$work/renewed.pem" "$work/bundle.pem"
  shared() { [[ "$(stat -c %a "$work/bundle.pem")" == 640 ]]; }
  change 's/log_level = "LOUD"/log_level = "DEBUG"/'
  kill -HUP "$agent_pid"
  await "a renewed file that the identity role may read" agent shared
  echo "PASSED: HUP lets the identity role read a renewed file"
fi

printf 'workload_size_limit = 6\n' >"$work/unix.conf"
kill -USR1 "$agent_pid"
awaited 'msg="Reconfigure signal received"'
awaited 'option="plugins.WorkloadAttestor \"unix\".plugin_data_file.workload_size_limit"'
echo "PASSED: USR1 reads the plugins' files"

mv "$work/agent.out" "$work/agent.out.1"
kill -USR2 "$agent_pid"
server_command "$authority" entry delete -entryID "$(awk '/Entry ID/ {print $NF}' "$work/entry.log")" \
  >/dev/null
awaited 'Entry removed'
logged 'Starting agent' && fail "the log file was not opened anew"
echo "PASSED: USR2 opens the log file anew"

begun=$SECONDS
kill -TERM "$agent_pid"
status=0
wait "$agent_pid" || status=$?
[[ "$status" -eq 0 ]] || fail "the agent ended with status $status"
[[ $((SECONDS - begun)) -lt 10 ]] || fail "the agent took $((SECONDS - begun)) s to end"
awaited 'msg="Agent stopped gracefully"'
[[ ! -e "$work/api/api.sock" ]] || fail "the socket is left behind"
echo "PASSED: TERM ends the agent with status 0"
