select event_id, user_id, product_category, revenue, event_date
from {{ source('clickstream', 'events') }}
where event_type = 'purchase'
