{{ config(materialized='table', partitioned_by=['event_type']) }}
select
    events.event_id,
    {{ dbt.datediff('labels.since', 'events.event_timestamp', 'day') }} as label_age_days,
    labels.label,
    labels.is_money,
    labels.event_type
from {{ source('clickstream', 'events') }} as events
join {{ ref('event_labels') }} as labels on labels.event_type = events.event_type
