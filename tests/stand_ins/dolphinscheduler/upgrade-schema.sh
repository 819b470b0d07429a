# Where the product's tools make the tables.
exec python3 -m tests.stand_ins.dolphinscheduler.process tools
