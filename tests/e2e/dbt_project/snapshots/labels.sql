{% snapshot labels_over_time %}
{{ config(
    unique_key='event_type',
    strategy='check',
    check_cols=['label'],
) }}
select event_type, label from {{ ref('event_labels') }}
{% endsnapshot %}
