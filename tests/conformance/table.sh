#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Prints the requirements of docs/conformance.md that no test names, and how many are named. Fails when
# the document does not say why no test names one.
set -euo pipefail
cd "$(dirname "$0")/.."

named=$(git ls-files --cached --others --exclude-standard '*_test.cc' |
  xargs grep -ohE '\b(ID|X509|JWT|TDB|FED|WLEP|WLAPI)-[0-9]{2}\b' | sort -u)
explained=$(sed -n '/^## Named by no test/,$p' docs/conformance.md |
  grep -oE '\b(ID|X509|JWT|TDB|FED|WLEP|WLAPI)-[0-9]{2}\b' | sort -u)
unexplained=0
total=0
uncovered=0
while IFS='|' read -r _ number requirement _; do
  number=${number// /}
  total=$((total + 1))
  if ! grep -qxF "$number" <<<"$named"; then
    uncovered=$((uncovered + 1))
    echo "$number:$requirement"
    if ! grep -qxF "$number" <<<"$explained"; then
      unexplained=$((unexplained + 1))
      echo "  docs/conformance.md does not say why no test names it"
    fi
  fi
done < <(grep -E '^\| (ID|X509|JWT|TDB|FED|WLEP|WLAPI)-' docs/conformance.md)
echo "$((total - uncovered)) of $total requirements are named by a test"
[[ "$unexplained" -eq 0 ]]
