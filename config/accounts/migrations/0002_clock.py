from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="user",
            name="clock",
            field=models.CharField(
                choices=[("utc", "UTC"), ("local", "Local time")], default="utc", max_length=5
            ),
        ),
    ]
