"""The tables, as this version of the program needs them."""

from django.core.management import call_command
from django.db import connections
from django.db.migrations.executor import MigrationExecutor


def migrate() -> bool:
    """Apply the migrations that are missing, in every database; tell whether there were any.

    Looking is 20 times faster than the command, which also goes through all permissions.
    """
    changed = False
    for connection in connections.all():
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            call_command("migrate", database=connection.alias, interactive=False, verbosity=0)
            changed = True
    return changed
