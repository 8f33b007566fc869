from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def give_roles(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """People from before there were roles keep what they could do."""
    users = apps.get_model("accounts", "User").objects
    users.filter(is_superuser=True).update(role="administrator")
    users.filter(is_superuser=False).update(role="researcher")


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [
        migrations.AddField(
            model_name="user",
            name="role",
            field=models.CharField(
                choices=[("viewer", "Viewer"), ("researcher", "Researcher"), ("administrator", "Administrator")],
                default="viewer",
                max_length=20,
            ),
        ),
        migrations.RunPython(give_roles, migrations.RunPython.noop),
    ]
