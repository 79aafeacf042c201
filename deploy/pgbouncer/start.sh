#!/bin/sh
# Writes the file of users, so that no password is in the image or in the configuration, and becomes PgBouncer.
set -eu
: "${POSTGRES_USER:?Set POSTGRES_USER and POSTGRES_PASSWORD to those of the database.}" "${POSTGRES_PASSWORD:?Set POSTGRES_PASSWORD to that of the database.}"

# a quote in a value is written twice
quote () {
  printf '"%s"' "$(printf '%s' "$1" | sed 's/"/""/g')"
}

umask 077
printf '%s %s\n' "$(quote "$POSTGRES_USER")" "$(quote "$POSTGRES_PASSWORD")" > /tmp/users.txt
unset POSTGRES_PASSWORD
exec pgbouncer /opt/pgbouncer/pgbouncer.ini
