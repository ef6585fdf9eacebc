"""What holds data: the bucket, the database's secret and instance, the cache, the alerts' topic."""

import inspect
import json
from datetime import datetime, timedelta
from typing import Any

from moto.elasticache.models import elasticache_backends
from moto.rds.models import rds_backends
from moto.s3.models import s3_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.sns.models import sns_backends

from hokusai_sandbox.aws.resources_names import TOPIC
from hokusai_sandbox.aws.settings import AwsSettings
from hokusai_sandbox.plan import (
    ACCOUNT,
    BUCKET,
    DATABASE,
    DATABASE_SECRET,
    DATABASE_USER,
    ELASTICACHE_CLUSTER,
    RDS_INSTANCE,
    REGION,
)


def register(settings: AwsSettings, start: datetime) -> Any:
    """All of them; returns the RDS instance, whose status a state changes."""
    s3_backends[ACCOUNT]["aws"].create_bucket(BUCKET, REGION)
    sns_backends[ACCOUNT][REGION].create_topic(TOPIC)
    _secret(settings, start - timedelta(days=30))
    _cache(settings)
    return _database(settings)


def _secret(settings: AwsSettings, made_at: datetime) -> None:
    backend = secretsmanager_backends[ACCOUNT][REGION]
    backend.create_secret(
        name=DATABASE_SECRET,
        secret_string=json.dumps(dict(settings.secret)),
        secret_binary=None,
        description="MLflow's database login",
        tags=[],
        kms_key_id=None,
        client_request_token=None,
        replica_regions=[],
        force_overwrite=False,
    )
    secret: Any = backend.secrets[DATABASE_SECRET]
    secret.created_date = secret.last_changed_date = int(made_at.timestamp())
    for version in secret.versions.values():
        version["createdate"] = int(made_at.timestamp())


def _database(settings: AwsSettings) -> Any:
    database = rds_backends[ACCOUNT][REGION].create_db_instance(
        {
            "db_instance_identifier": RDS_INSTANCE,
            "db_instance_class": "db.t3.micro",
            "engine": "postgres",
            "engine_version": "18.0",
            "allocated_storage": 20,
            "master_username": DATABASE_USER,
            "master_user_password": str(settings.secret["password"]),
            "db_name": DATABASE,
            "port": settings.database_port,
            "publicly_accessible": False,
        }
    )
    database.status = "available"
    return database


def _cache(settings: AwsSettings) -> None:
    backend = elasticache_backends[ACCOUNT][REGION]
    # Every one of its many parameters is required.
    values: dict[str, Any] = {
        name: [] if "list" in str(parameter.annotation) else None
        for name, parameter in inspect.signature(backend.create_cache_cluster).parameters.items()
    }
    values |= {
        "cache_cluster_id": ELASTICACHE_CLUSTER,
        "num_cache_nodes": 1,
        "cache_node_type": "cache.t3.micro",
        "engine": "redis",
        "engine_version": "6.2",
        "port": settings.redis_port,
    }
    cluster = backend.create_cache_cluster(**values)
    cluster.cache_cluster_status = "available"
