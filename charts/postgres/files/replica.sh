# Follows the primary. The password is in a file in memory, so that it is neither an argument nor on the volume.
set -eu
umask 077
printf '*:*:*:replicator:%s\n' "$(sed 's/[\\:]/\\&/g' /run/secrets/postgres/replication)" > /run/postgresql/passfile
exec postgres -c config_file=/etc/postgresql/postgresql.conf \
  -c primary_slot_name="replica_${POD##*-}" \
  -c primary_conninfo="host=$PRIMARY port=$PRIMARY_PORT user=replicator application_name=replica_${POD##*-} passfile=/run/postgresql/passfile"
