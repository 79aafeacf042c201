#!/usr/bin/env bash
# Gets a Chromium for the tests of the pages, and for `npm run screenshots`: the one that is there, else Debian's or Ubuntu's by apt-get (needs root, or sudo without a password),
# else the one that playwright-core downloads into its own cache. Where none can be had, the reason is said and the exit code is 0, because the tests then skip.
#
#   scripts/install-chromium.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

main () {
  local browser reason
  if browser=$(find_browser); then
    echo "Chromium: is there, $browser"
  elif reason=$(install_by_apt 2>&1) && browser=$(find_browser); then
    echo "Chromium: installed, $browser"
  elif reason=$(timeout 60 node_modules/.bin/playwright-core install chromium-headless-shell 2>&1) && browser=$(find_browser); then
    echo "Chromium: downloaded, $browser"
  else
    echo "Chromium: cannot be had here, tests that need it will skip. ${reason##*$'\n'}"
  fi
}

# Prints where it is; the same places as in test/helper/chromium.ts.
find_browser () {
  local path
  for path in "${CHROMIUM:-}" /usr/bin/chromium /usr/bin/chromium-browser /usr/bin/google-chrome "${PLAYWRIGHT_BROWSERS_PATH:-$HOME/.cache/ms-playwright}"/chromium*/chrome-*/{chrome,headless_shell,chrome-headless-shell}; do
    if [ -x "$path" ] && timeout 20 "$path" --no-sandbox --version > /dev/null 2>&1; then
      echo "$path"
      return 0
    fi
  done
  return 1
}

install_by_apt () {
  local root=()
  if [ "$(id -u)" != 0 ]; then root=(sudo -n); fi
  command -v apt-get > /dev/null || { echo 'There is no apt-get.'; return 1; }
  "${root[@]}" true 2> /dev/null || { echo 'apt-get needs root.'; return 1; }
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive timeout 60 apt-get update -q
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive timeout 150 apt-get install -q -y --no-install-recommends chromium fonts-dejavu-core
}

main
