# Ends when the tables are at the version that the servers need: a server that starts earlier would crash.
# Gives up after five minutes with what it saw last.
set -u
tries=84
while [ "$tries" -gt 0 ]; do
  found=$(psql --no-psqlrc --no-password --quiet --tuples-only --no-align \
    --command='SELECT version FROM t_ds_version ORDER BY id DESC LIMIT 1' 2>&1)
  [ "$found" != "$SCHEMA_VERSION" ] || exit 0
  tries=$((tries - 1))
  if [ "$tries" -gt 54 ]; then sleep 1; else sleep 5; fi
done
echo "the tables are not at version $SCHEMA_VERSION; instead: $found" >&2
exit 1
