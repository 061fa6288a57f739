#!/bin/sh
# Read secrets from files into the variables that the programs know, then become the program.
#
# For each NAME_FILE listed here that is set, NAME becomes the file's first line. Passwords so stay out of the Compose file, of
# `docker inspect` and of the image.
set -eu

for name in PGPASSWORD PREFECT_SERVER_DATABASE_PASSWORD GRISTMILL_API_KEY AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY; do
    eval "file=\${${name}_FILE:-}"
    [ -n "$file" ] || continue
    if [ ! -r "$file" ]; then
        echo "entrypoint: ${name}_FILE names $file, which user $(id -u) can't read: see docs/deployment.md, Secrets" >&2
        exit 78
    fi
    value=
    IFS= read -r value < "$file" || [ -n "$value" ] || { echo "entrypoint: $file, named by ${name}_FILE, is empty" >&2; exit 78; }
    export "$name=$value"
    unset "${name}_FILE"
done

exec "$@"
