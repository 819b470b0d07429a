# Keeps roles, databases and replication slots as declared: at start, and once a minute.
# It only adds and corrects; nothing is ever dropped but a replication slot nobody uses any more. A database that
# was there before and is gone is not made again: an empty one in its place would pass for the real one.
# Passwords come from the mounted Secret. psql hashes a new one itself, so that the server never sees it in clear.
set -u
umask 077
secrets=/run/secrets/postgres
ready=/run/databases/ready
PGOPTIONS='-c client_min_messages=warning'
PGCONNECT_TIMEOUT=5
export PGOPTIONS PGCONNECT_TIMEOUT
trap 'exit 0' TERM INT

say() { echo "$(date -u +%FT%TZ) $*"; }

query() { # query ROLE KEY [psql arguments]: as ROLE with the password under KEY
  PGPASSWORD=$(cat "$secrets/$2") PGUSER=$1
  export PGPASSWORD PGUSER
  shift 2
  psql --no-psqlrc --no-password --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --dbname=postgres "$@"
}

superuser() (query postgres superuser "$@")

can_log_in() (query "$1" "$2" --command='' 2> /dev/null)

ensure_role() { # ensure_role ROLE KEY ATTRIBUTE
  if [ ! -s "$secrets/$2" ]; then
    say "role $1: the Secret has no key $2"
    return 1
  fi
  changed=$(superuser --set=role="$1" --set=attribute="$3" << 'SQL'
SELECT 'role ' || :'role' || ': created' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role');
SELECT format('CREATE ROLE %I', :'role') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
SELECT format('ALTER ROLE %I LOGIN %s', :'role', :'attribute') FROM pg_roles WHERE rolname = :'role'
  AND NOT (rolcanlogin AND (rolreplication OR :'attribute' <> 'REPLICATION')) \gexec
SQL
  ) || return 1
  if [ -n "$changed" ]; then
    say "$changed"
  elif can_log_in "$1" "$2"; then
    return 0
  fi
  # \password asks twice; without a terminal it reads the answers from its input.
  { cat "$secrets/$2"; echo; cat "$secrets/$2"; echo; } \
    | superuser --command="\\password $1" > /dev/null 2>&1 || return 1
  if ! can_log_in "$1" "$2"; then
    say "role $1: can't log in with the password of the Secret"
    return 1
  fi
  say "role $1: password set from the Secret"
}

ensure_database() { # ensure_database DATABASE OWNER
  changed=$(superuser --set=database="$1" --set=owner="$2" << 'SQL'
CREATE SCHEMA IF NOT EXISTS carbon;
CREATE TABLE IF NOT EXISTS carbon.databases (name text PRIMARY KEY, first_seen timestamptz NOT NULL DEFAULT now());
SELECT EXISTS (SELECT FROM pg_database WHERE datname = :'database') AS there,
       EXISTS (SELECT FROM carbon.databases WHERE name = :'database') AS known \gset
\if :there
  SELECT 'database ' || datname || ': owner was ' || pg_get_userbyid(datdba) FROM pg_database
    WHERE datname = :'database' AND pg_get_userbyid(datdba) <> :'owner';
  SELECT format('ALTER DATABASE %I OWNER TO %I', :'database', :'owner') FROM pg_database
    WHERE datname = :'database' AND pg_get_userbyid(datdba) <> :'owner' \gexec
\elif :known
  SELECT 'gone';
  \quit
\else
  SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'owner') \gexec
  SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', :'database') \gexec
  SELECT 'database ' || :'database' || ': created';
\endif
\if :known
\else
  INSERT INTO carbon.databases (name) VALUES (:'database') ON CONFLICT DO NOTHING;
\endif
SQL
  ) || return 1
  if [ "$changed" = gone ]; then
    say "database $1: it was there and is gone. Restore it; or, to have an empty one made," \
      "run in database postgres: DELETE FROM carbon.databases WHERE name = '$1'"
    return 1
  fi
  [ -z "$changed" ] || say "$changed"
}

ensure_slots() {
  superuser --set=replicas="$REPLICAS" << 'SQL' > /dev/null
SELECT pg_create_physical_replication_slot('replica_' || n, true) FROM generate_series(0, :replicas - 1) AS n
  WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = 'replica_' || n);
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
  WHERE slot_name ~ '^replica_[0-9]+$' AND substr(slot_name, 9)::int >= :replicas AND NOT active;
SQL
}

provision() {
  [ "$REPLICAS" -eq 0 ] || ensure_role replicator replication REPLICATION || return 1
  ensure_slots || return 1
  failed=0
  # What is wrong with one consumer must not keep the others waiting.
  while read -r database owner; do
    { ensure_role "$owner" "role-$owner" '' && ensure_database "$database" "$owner"; } < /dev/null || failed=1
  done < /etc/databases/databases
  return "$failed"
}

say "waiting for $PGHOST"
until pg_isready --quiet --timeout=3; do sleep 1; done
while :; do
  if provision; then
    [ -e "$ready" ] || say "roles and databases are as declared"
    : > "$ready"
    pause=60
  else
    # A server that can't be asked says nothing of what is in it.
    ! pg_isready --quiet --timeout=3 || rm -f "$ready"
    pause=5
  fi
  sleep "$pause" &
  wait $!
done
