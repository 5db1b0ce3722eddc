{# Descriptions kept in the warehouse. #}

{% macro alter_relation_comment(relation, relation_comment) -%}
  {{ return(adapter.dispatch('alter_relation_comment', 'dbt')(relation, relation_comment)) }}
{%- endmacro %}
{% macro default__alter_relation_comment(relation, relation_comment) %}{{ dbt._not_implemented('alter_relation_comment') }}{% endmacro %}
{% macro duckdb__alter_relation_comment(relation, comment) %}
  comment on {{ relation.type }} {{ relation }} is {{ dbt._comment_literal(comment) }};
{% endmacro %}
{% macro postgres__alter_relation_comment(relation, comment) %}
  comment on {{ relation.type | replace('_', ' ') }} {{ relation }} is {{ dbt._comment_literal(comment) }};
{% endmacro %}

{% macro alter_column_comment(relation, column_dict) %}{{ return(adapter.dispatch('alter_column_comment', 'dbt')(relation, column_dict)) }}{% endmacro %}
{% macro default__alter_column_comment(relation, column_dict) %}{{ dbt._not_implemented('alter_column_comment') }}{% endmacro %}
{% macro duckdb__alter_column_comment(relation, column_dict) %}{{ return(dbt._column_comments(relation, column_dict)) }}{% endmacro %}
{% macro postgres__alter_column_comment(relation, column_dict) %}{{ return(dbt._column_comments(relation, column_dict)) }}{% endmacro %}

{% macro _column_comments(relation, column_dict) %}
  {% set existing = adapter.get_columns_in_relation(relation) | map(attribute='name') | list %}
  {% for name, column in column_dict.items() if name in existing %}
    comment on column {{ relation }}.{{ adapter.quote(name) if column['quote'] else name }} is {{ dbt._comment_literal(column['description']) }};
  {% endfor %}
{% endmacro %}

{# Dollar quotes with a label of their own let a comment hold any other quoting. #}
{% macro _comment_literal(comment) -%}
  {%- set mark = '$dbt_comment_literal_block$' -%}
  {%- if comment is not string -%}
    {%- do exceptions.raise_compiler_error('cannot escape a non-string: ' ~ comment) -%}
  {%- elif mark in comment -%}
    {%- do exceptions.raise_compiler_error('The string ' ~ mark ~ ' is not allowed in comments.') -%}
  {%- endif -%}
  {{ mark ~ comment ~ mark }}
{%- endmacro %}
{% macro duckdb_escape_comment(comment) %}{{ return(dbt._comment_literal(comment)) }}{% endmacro %}
{% macro postgres_escape_comment(comment) %}{{ return(dbt._comment_literal(comment)) }}{% endmacro %}

{% macro persist_docs(relation, model, for_relation=true, for_columns=true) -%}
  {{ return(adapter.dispatch('persist_docs', 'dbt')(relation, model, for_relation, for_columns)) }}
{%- endmacro %}
{% macro default__persist_docs(relation, model, for_relation, for_columns) -%}
  {%- set statements = [] -%}
  {%- if model.description and for_relation and config.persist_relation_docs() -%}
    {%- do statements.append(alter_relation_comment(relation, model.description)) -%}
  {%- endif -%}
  {%- if model.columns and for_columns and config.persist_column_docs() -%}
    {%- set present = get_list_of_column_names(adapter.get_columns_in_relation(relation)) -%}
    {%- do statements.append(alter_column_comment(relation, validate_doc_columns(relation, model.columns, present))) -%}
  {%- endif -%}
  {%- for sql in statements if sql and sql | trim -%}{%- do run_query(sql) -%}{%- endfor -%}
{% endmacro %}

{# Leaves out, with a warning, described columns that the relation does not have. #}
{% macro validate_doc_columns(relation, column_dict, existing_column_names) %}
  {% set lower = existing_column_names | map('lower') | list %}
  {% set found, missing = {}, [] %}
  {% for name, column in column_dict.items() %}
    {% set present = name in existing_column_names if column['quote'] else name | lower in lower %}
    {% if present %}
      {% do found.update({name: column}) %}
    {% else %}
      {% do missing.append(name) %}
    {% endif %}
  {% endfor %}
  {% if missing %}
    {{ exceptions.warn('described columns that ' ~ relation.render() ~ ' does not have: ' ~ missing | join(', ')) }}
  {% endif %}
  {{ return(found) }}
{% endmacro %}
