#!/bin/sh
# Make the two databases, each with a role of its own: Prefect's and the ledger's. The postgres image runs this once, on an empty volume.
set -eu

for name in prefect gristmill; do
    password=$(cat "/run/secrets/postgres_$name")
    # Values reach SQL as psql variables, quoted by psql (:"x" as a name, :'x' as a string).
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
        --set name="$name" --set password="$password" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE CONNECT, TEMPORARY ON DATABASE :"name" FROM PUBLIC;
SQL
done
