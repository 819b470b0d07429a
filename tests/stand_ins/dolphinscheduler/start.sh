# Where the product's images start their server.
exec python3 -m tests.stand_ins.dolphinscheduler.process "${STAND_IN_ROLE:?says which server this is}"
