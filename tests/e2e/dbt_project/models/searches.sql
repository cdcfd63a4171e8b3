{{ config(
    materialized='incremental',
    incremental_strategy='append',
    partitioned_by=['event_day'],
) }}
select
    event_id,
    search_query,
    received_at,
    format_datetime(event_timestamp, 'yyyy-MM-dd') as event_day
from {{ source('clickstream', 'events') }}
where event_type = 'search'
{% if is_incremental() %}
  and received_at > (select max(received_at) from {{ this }})
{% endif %}
