"""What the catalog refuses, under the Glue API's own codes."""

from lakelet.model.errors import LakeletError, Outcome


class CatalogError(LakeletError):
    """The base: a request that can't be met."""

    code = "catalog.error"
    http_status = 400


class EntityNotFound(CatalogError):
    code = "catalog.not_found"
    aws_code = "EntityNotFoundException"


class AlreadyExists(CatalogError):
    code = "catalog.exists"
    aws_code = "AlreadyExistsException"


class InvalidInput(CatalogError):
    code = "catalog.invalid_input"
    aws_code = "InvalidInputException"


class VersionMismatch(CatalogError):
    """UpdateTable named a version that is no longer the newest."""

    code = "catalog.version_mismatch"
    aws_code = "ConcurrentModificationException"


class CrawlerRunning(CatalogError):
    code = "crawler.running"
    outcome = Outcome.RETRY
    aws_code = "CrawlerRunningException"


class CrawlerNotRunning(CatalogError):
    code = "crawler.not_running"
    aws_code = "CrawlerNotRunningException"


class CrawlerStopping(CatalogError):
    code = "crawler.stopping"
    outcome = Outcome.RETRY
    aws_code = "CrawlerStoppingException"
