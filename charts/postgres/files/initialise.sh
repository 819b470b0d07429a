# Makes the volume ready for the server: a new database cluster, only where there has never been one.
# ROLE is `primary` (initdb) or `replica` (a copy of the primary). The work is done beside the final
# directory, which appears in one rename: an interrupted start leaves nothing that looks like data.
set -eu
umask 077
volume=$(dirname "$PGDATA")
wanted=$(postgres --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')

refuse() {
  echo "refused: $*. Nothing was changed." >&2
  exit 1
}

if [ -s "$PGDATA/PG_VERSION" ]; then
  found=$(cat "$PGDATA/PG_VERSION")
  [ "$found" = "$wanted" ] || refuse "the volume holds PostgreSQL $found data, the image is PostgreSQL $wanted"
  # A storage driver that gives volumes to a group also opens them to it, and the server then refuses to start.
  chmod 0700 "$PGDATA"
  exit 0
fi
[ ! -e "$PGDATA" ] || refuse "$PGDATA exists but is no database cluster"
for entry in "$volume"/* "$volume"/.[!.]*; do
  case $entry in
    "$PGDATA.new" | "$volume/lost+found" | "$volume/*" | "$volume/.[!.]*") ;;
    *) refuse "the volume is not empty, it holds $entry" ;;
  esac
done
rm -rf "$PGDATA.new"

if [ "$ROLE" = primary ]; then
  initdb --pgdata="$PGDATA.new" --username=postgres --pwfile=/run/secrets/postgres/superuser \
    --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --data-checksums
else
  printf '*:*:*:replicator:%s\n' "$(sed 's/[\\:]/\\&/g' /run/secrets/postgres/replication)" > /run/postgresql/passfile
  export PGPASSFILE=/run/postgresql/passfile
  # The primary may still be starting, and the role and the slot are made just after it.
  until pg_basebackup --pgdata="$PGDATA.new" --host="$PRIMARY" --port="$PRIMARY_PORT" --username=replicator --no-password \
    --wal-method=stream --slot="replica_${POD##*-}" --checkpoint=fast; do
    rm -rf "$PGDATA.new"
    sleep 1
  done
  : > "$PGDATA.new/standby.signal"
fi
sync -f "$PGDATA.new"
mv -T "$PGDATA.new" "$PGDATA"
