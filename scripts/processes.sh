# SPDX-License-Identifier: GPL-3.0-or-later
# Background processes of a script, to be sourced. The script sets `work`, a folder of its own: each
# process writes $work/NAME.log, and $work/pids lets a later run end what an interrupted one left.

fail() { echo "${0##*/}: $*" >&2; exit 1; }

# Runs a program in the background: name, program, arguments.
start() {
  local name=$1
  shift
  # Here, not by the process: what one of that name wrote before must not be read any more.
  : >"$work/$name.log"
  "$@" >>"$work/$name.log" 2>&1 &
  echo "$! $(awk '{print $22}' "/proc/$!/stat")" >>"$work/pids"
}

# Waits up to 20 seconds for a condition, then shows the log that tells why it never came: what is
# awaited, whose log, the command that succeeds when it is there.
await() {
  local what=$1 log=$2
  shift 2
  for _ in $(seq 200); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.1
  done
  tail -n 20 "$work/$log.log" >&2 || true
  fail "$what did not happen within 20 seconds; the end of its log is above"
}

# Ends all that was started, in the opposite order: a number counts only with its start time.
stop_all() {
  local pid started
  [[ -f "$work/pids" ]] || return 0
  while read -r pid started; do
    [[ "$(awk '{print $22}' "/proc/$pid/stat" 2>/dev/null)" == "$started" ]] || continue
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 100); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.05
    done
  done < <(tac "$work/pids")
  rm -f "$work/pids"
}
