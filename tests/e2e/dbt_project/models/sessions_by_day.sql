-- Days that got events since the last run are counted anew, late events of old days too;
-- insert_overwrite replaces their partitions.
{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    partitioned_by=['event_date'],
) }}
select
    session_id,
    count(*) as events,
    min(event_timestamp) as began_at,
    max(received_at) as seen_until,
    event_date
from {{ source('clickstream', 'events') }}
{% if is_incremental() %}
where event_date in (
    select event_date
    from {{ source('clickstream', 'events') }}
    where received_at > (select max(seen_until) from {{ this }})
)
{% endif %}
group by session_id, event_date
