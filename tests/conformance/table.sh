#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Prints docs/conformance.md requirement by requirement: number, result, the tests that name it.
#
#   tests/conformance/table.sh          what tests cover; runs none
#   tests/conformance/table.sh BUILD    runs BUILD's tests (those written in C++) and says what passed
#
# Results: passed, FAILED, skipped, "not run" (not built), "named" (without BUILD), argued (no test names
# it, the document says why) and UNCOVERED. Ends with their counts; exits with 1 when there is a FAILED,
# an UNCOVERED or, with BUILD, a "not run". A test names a requirement in its body or in the comment
# above it; what stands outside of both counts for each test of the file.
set -euo pipefail
cd "$(dirname "$0")/../.."
number='(ID|X509|JWT|WIT|TDB|FED|WLEP|WLAPI|BREP|BRAPI)-[0-9][0-9]'
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Lines "NUMBER Suite.Name".
git ls-files --cached --others --exclude-standard '*_test.cc' | xargs awk -v number="$number" '
  function flush(  i, t) {  # What stands outside of tests is for all of the file.
    for (i in whole) for (t in tests) print i, t
    delete whole; delete tests; delete above; test = ""
  }
  function note(line, into) {
    while (match(line, number)) {
      if (test != "") print substr(line, RSTART, RLENGTH), test
      else into[substr(line, RSTART, RLENGTH)]
      line = substr(line, RSTART + RLENGTH)
    }
  }
  FNR == 1 { flush() }
  /^TEST(_F|_P)?\(/ {
    test = $0
    sub(/^[A-Z_]*\( */, "", test); sub(/\).*/, "", test); sub(/, */, ".", test)
    tests[test]
    for (i in above) print i, test
    delete above
  }
  test == "" && /^\/\// { note($0, above); next }
  { note($0, whole) }
  test == "" { for (i in above) whole[i]; delete above }
  /^}/ { test = "" }
  END { flush() }' | sort -u >"$folder/named"

# Lines "Suite.Name passed|FAILED|skipped", of each test that ran.
: >"$folder/ran"
if (($# > 0)); then
  GTEST_OUTPUT=json:$folder/results/ ctest --test-dir "$1" -L gtest >"$folder/log" 2>&1 ||
    cat "$folder/log"
  jq -r '.testsuites[] | .name as $suite | .testsuite[] |
    ($suite | sub("^[^/]*/"; "")) + "." + (.name | sub("/.*"; "")) + " " +
    (if .failures then "FAILED" elif .result == "SKIPPED" then "skipped"
     elif .status == "RUN" then "passed" else "skipped" end)' "$folder"/results/*.json |
    sort -u >"$folder/ran"
fi

sed -n '/^## Named by no test/,/^## What/p' docs/conformance.md | grep -oE "\b$number\b" |
  sort -u >"$folder/argued"

awk -F'|' -v tests_ran="$#" -v folder="$folder" '
  BEGIN {
    while ((getline line < (folder "/named")) > 0) {
      split(line, f, " ")
      named[f[1]] = named[f[1]] " " f[2]
    }
    while ((getline line < (folder "/ran")) > 0) {
      split(line, f, " ")
      ran[f[1]] = ran[f[1]] " " f[2]
    }
    while ((getline line < (folder "/argued")) > 0) argued[line]
  }
  function result_of(number,  count, names, i, all) {
    if (!(number in named)) return number in argued ? "argued" : "UNCOVERED"
    if (!tests_ran) return "named"
    count = split(named[number], names, " ")
    all = ""
    for (i = 1; i <= count; i++) all = all (names[i] in ran ? ran[names[i]] : " missing")
    if (all ~ /FAILED/) return "FAILED"
    if (all ~ /missing/) return "not run"
    return all ~ /passed/ ? "passed" : "skipped"
  }
  /^\| [A-Z0-9]+-[0-9][0-9] / {
    number = $2
    gsub(/ /, "", number)
    result = result_of(number)
    counts[result]++
    printf "%-8s %-9s%s\n", number, result, named[number]
  }
  END {
    for (result in counts) printf "%d %s\n", counts[result], result
    exit counts["FAILED"] + counts["UNCOVERED"] + counts["not run"] > 0
  }' docs/conformance.md
