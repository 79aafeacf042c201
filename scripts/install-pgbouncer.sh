#!/usr/bin/env bash
# Gets PgBouncer for the tests that need one: 1.18, which knows no prepared statements in transaction mode, and 1.24, which does. Both are Debian's.
#
# Nothing is installed into the system and no service is started: the packages are unpacked, with the libraries they need and the loader that fits those, so that
# any of them runs on any Linux of the same processor. What is there already is not fetched again. Where something cannot be had, the reason is said and the exit
# code is 0, because the tests then skip. Needs apt-get and dpkg, whose configured Debian source is used; no rights.
#
#   scripts/install-pgbouncer.sh [folder]      default: ~/.cache/fastify-tandem/pgbouncer
set -euo pipefail

folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/fastify-tandem/pgbouncer}
releases=(bookworm trixie)

main () {
  for release in "${releases[@]}"; do
    local target="$folder/$release"
    if version=$(run "$target" 2> /dev/null); then
      echo "PgBouncer $version: is there, in $target"
    elif reason=$(fetch "$release" "$target" 2>&1) && version=$(run "$target"); then
      echo "PgBouncer $version: unpacked into $target"
    else
      echo "PgBouncer of $release: cannot be had here, tests that need it will skip. ${reason##*$'\n'}"
    fi
  done
}

# Prints the version.
run () {
  "$1/ld.so" --library-path "$1/lib" "$1/pgbouncer" --version | sed -n 's/^PgBouncer //p' | grep .
}

fetch () (
  for command in apt-get apt-cache dpkg; do command -v "$command" > /dev/null || { echo "There is no $command."; exit 1; }; done
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  cd "$work"
  write_source "$1"
  apt update > log 2>&1 || { grep -m 1 '^E:' log || tail -n 1 log; exit 1; }
  # as if nothing were installed, so that every library is listed
  mapfile -t packages < <(apt install --print-uris --yes --no-install-recommends pgbouncer 2> /dev/null | sed -nE "s/^'[^']*' ([a-z0-9.+-]+)_.*/\1/p" | grep -E '^(lib|pgbouncer$)' | grep -v perl)
  [ "${#packages[@]}" -gt 0 ] || { echo 'There is no such package in the configured source.'; exit 1; }
  apt download "${packages[@]}" > log 2>&1 || { grep -m 1 '^E:' log || tail -n 1 log; exit 1; }
  for package in *.deb; do dpkg -x "$package" root; done
  collect "$2"
)

# A source like the configured one, of another release.
write_source () {
  local url
  url=$(apt-get indextargets --format '$(REPO_URI) $(LABEL)' 'Created-By: Packages' 2> /dev/null | awk '$2 == "Debian" || $1 ~ /\/debian\/?$/ { print $1; exit }')
  [ -n "$url" ] || { echo 'No source of Debian is configured.'; exit 1; }
  printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n' "$url" "$1" > debian.sources
  local keys=/usr/share/keyrings/debian-archive-keyring.gpg
  if [ -f "$keys" ]; then echo "Signed-By: $keys" >> debian.sources; fi
}

# apt-get with all of its state in the working folder: that of the system is neither used nor changed.
apt () {
  mkdir -p lists/partial archives/partial
  touch status
  timeout 120 apt-get -q -o Dir::Etc::SourceList="$PWD/debian.sources" -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists="$PWD/lists" \
    -o Dir::State::status="$PWD/status" -o Dir::Cache="$PWD" -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::Languages=none -o APT::Update::Error-Mode=any "$@"
}

# The program, its loader and the libraries that the loader finds for it.
collect () {
  local libraries loader
  libraries=$(find root -name '*.so*' -printf '%h\n' | sort -u | paste -sd:)
  loader=$(find root -type f -name 'ld-linux*.so*' | head -n 1)
  mkdir -p new/lib
  cp root/usr/sbin/pgbouncer new/pgbouncer
  cp "$loader" new/ld.so
  "$loader" --library-path "$libraries" --list new/pgbouncer | sed -nE 's/.* => (root[^ ]*) .*/\1/p' | xargs -I '{}' cp -L '{}' new/lib/
  chmod -R a+rX new
  mkdir -p "$(dirname "$1")"
  rm -rf "$1"
  mv new "$1"
}

main
