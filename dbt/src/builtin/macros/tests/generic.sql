{# The four data tests that come with dbt. The SQL of each can be replaced for a warehouse. #}

{% test unique(model, column_name) %}{{ adapter.dispatch('test_unique', 'dbt')(model, column_name) }}{% endtest %}
{% test not_null(model, column_name) %}{{ adapter.dispatch('test_not_null', 'dbt')(model, column_name) }}{% endtest %}
{% test accepted_values(model, column_name, values, quote=True) -%}
  {{ adapter.dispatch('test_accepted_values', 'dbt')(model, column_name, values, quote) }}
{%- endtest %}
{% test relationships(model, column_name, to, field) -%}
  {{ adapter.dispatch('test_relationships', 'dbt')(model, column_name, to, field) }}
{%- endtest %}

{% macro default__test_unique(model, column_name) %}
select
    {{ column_name }} as unique_field,
    count(*) as n_records
from {{ model }}
where {{ column_name }} is not null
group by {{ column_name }}
having count(*) > 1
{% endmacro %}

{% macro default__test_not_null(model, column_name) %}
select {{ '*' if should_store_failures() else column_name }}
from {{ model }}
where {{ column_name }} is null
{% endmacro %}

{% macro default__test_accepted_values(model, column_name, values, quote=True) %}
{%- set mark = "'" if quote else '' %}
with all_values as (
    select
        {{ column_name }} as value_field,
        count(*) as n_records
    from {{ model }}
    group by {{ column_name }}
)
select *
from all_values
where value_field not in (
    {% for value in values %}{{ mark }}{{ value }}{{ mark }}{{ ',' if not loop.last }}{% endfor %}
)
{% endmacro %}

{% macro _column_as(relation, column_name, name) -%} select {{ column_name }} as {{ name }} from {{ relation }} {%- endmacro %}
{% macro default__test_relationships(model, column_name, to, field) %}
with child as (
    {{ dbt._column_as(model, column_name, 'from_field') }} where {{ column_name }} is not null
),
parent as (
    {{ dbt._column_as(to, field, 'to_field') }}
)
select from_field from child left join parent on child.from_field = parent.to_field where parent.to_field is null
{% endmacro %}
