# Replaces the password that every new installation has. One that a person has set since is left alone.
# The server stores the MD5 of a password; it is made here, so that the database never sees the password itself.
set -eu
ADMIN_HASH=$(printf '%s' "$ADMIN_PASSWORD" | md5sum | cut -d ' ' -f 1)
INITIAL_HASH=$(printf '%s' dolphinscheduler123 | md5sum | cut -d ' ' -f 1)
export ADMIN_HASH INITIAL_HASH
changed=$(psql --no-psqlrc --no-password --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 << 'SQL'
\getenv new ADMIN_HASH
\getenv old INITIAL_HASH
UPDATE t_ds_user SET user_password = :'new' WHERE user_name = 'admin' AND user_password = :'old' RETURNING user_name;
SQL
)
if [ -n "$changed" ]; then
  echo "password of admin: set from the Secret"
else
  echo "password of admin: left as it is"
fi
