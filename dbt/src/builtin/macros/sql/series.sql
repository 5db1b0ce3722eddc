{# Generated rows: numbers and calendars. #}

{% macro get_powers_of_two(upper_bound) %}{{ return(adapter.dispatch('get_powers_of_two', 'dbt')(upper_bound)) }}{% endmacro %}
{% macro default__get_powers_of_two(upper_bound) %}
  {% if upper_bound <= 0 %}{{ exceptions.raise_compiler_error("upper bound must be positive") }}{% endif %}
  {% for exponent in range(1, 100) if upper_bound <= 2 ** exponent %}{{ return(exponent) }}{% endfor %}
{% endmacro %}

{% macro generate_series(upper_bound) %}{{ return(adapter.dispatch('generate_series', 'dbt')(upper_bound)) }}{% endmacro %}
{# Counts in binary: one cross-joined bit for each power of two. #}
{% macro default__generate_series(upper_bound) %}
  {%- set terms, sources = [], [] -%}
  {%- for bit in range(dbt.get_powers_of_two(upper_bound)) -%}
    {%- do terms.append('p' ~ bit ~ '.generated_number * power(2, ' ~ bit ~ ')') -%}
    {%- do sources.append('p as p' ~ bit) -%}
  {%- endfor %}
  with p as (
    select 0 as generated_number union all select 1
  ), unioned as (
    select {{ terms | join(' + ') }} + 1 as generated_number from {{ sources | join(' cross join ') }}
  )
  select * from unioned where generated_number <= {{ upper_bound }} order by generated_number
{% endmacro %}
{% macro duckdb__generate_series(upper_bound) %}
  select generate_series as generated_number from generate_series(1, {{ upper_bound }})
{% endmacro %}

{% macro get_intervals_between(start_date, end_date, datepart) -%}
  {{ return(adapter.dispatch('get_intervals_between', 'dbt')(start_date, end_date, datepart)) }}
{%- endmacro %}
{% macro default__get_intervals_between(start_date, end_date, datepart) -%}
  {%- call statement('get_intervals_between', fetch_result=True) %}
    select {{ dbt.datediff(start_date, end_date, datepart) }}
  {%- endcall -%}
  {%- set result = load_result('get_intervals_between') -%}
  {{ return(result['data'][0][0] if result and result['data'] else 1) }}
{%- endmacro %}

{% macro date_spine(datepart, start_date, end_date) -%}
  {{ return(adapter.dispatch('date_spine', 'dbt')(datepart, start_date, end_date)) }}
{%- endmacro %}
{% macro default__date_spine(datepart, start_date, end_date) %}
  {%- set column = 'date_' ~ datepart %}
  with rawdata as (
    {{ dbt.generate_series(dbt.get_intervals_between(start_date, end_date, datepart)) }}
  ),
  all_periods as (
    select ( {{ dbt.dateadd(datepart, 'row_number() over (order by 1) - 1', start_date) }} ) as {{ column }} from rawdata
  ),
  filtered as (
    select * from all_periods where {{ column }} <= {{ end_date }}
  )
  select * from filtered
{% endmacro %}
