"""The Data Catalog and the crawler that fills it."""

from lakelet.catalog.catalog import Catalog
from lakelet.catalog.ensure import Column, TableSpec
from lakelet.catalog.errors import CatalogError

__all__ = ["Catalog", "CatalogError", "Column", "TableSpec"]
