"""The contracts that tests share: the shipped one, and one that uses the whole language."""

from lakelet.contract import load_declaration, read_contract
from lakelet.model.contract import Contract, Keyring
from lakelet.model.toml import load

DEFAULT = load_declaration(None).contract
KEYRING = Keyring("k2", {"k1": b"old", "k2": b"secret"})

WHOLE_TEXT = r"""
version = 3
event_time = { field = "timestamp", oldest_days = 3650, ahead_hours = 24 }
deduplicate = { field = "event_id", window_hours = 72 }

[fields]
event_id = { type = "string", required = true, pattern = "[a-z0-9-]{1,40}" }
event_type = { type = "string", required = true, column = "kind" }
timestamp = { type = "timestamp" }
user_id = { type = "string", personal = "hash" }
page_url = { type = "string" }
product_price = { type = "double", min = 0, max = 1e6 }
quantity = { type = "bigint", default = 1 }
ip_address = { type = "string", personal = "truncate" }
email = { type = "string", personal = "mask" }
device_type = { type = "string", path = "$.device.type", enum = ["x", "mobile", "desktop"] }
flag = { type = "boolean" }
amount = { type = "decimal(10,2)" }
tags = { type = "array<string>" }
counts = { type = "map<string,int>" }
blob = { type = "json" }
born = { type = "date" }

[personal]
field_patterns = { "*email*" = "drop" }
email_in_values = ["page_url", "properties", "blob"]

[computed]
total = { type = "double", sql = "product_price * quantity" }
weekday = { type = "string", sql = "date_format(timestamp, '%W')" }

[drop]
bots = "event_type = 'bot' OR kind = 'bot'"

[tables.vitals]
where = "kind = 'vital' AND quantity > 0"
inherit = ["event_id", "event_type", "timestamp", "quantity"]
fields = { name = { type = "string" } }
"""


def contract_of(text: str) -> Contract:
    return read_contract(load(text, "test.toml"))


WHOLE = contract_of(WHOLE_TEXT.replace("event_type = 'bot' OR ", ""))
