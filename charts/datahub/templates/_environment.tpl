{{/* One variable whose value a Secret holds: `name`, `secret`, `key`. */}}
{{- define "datahub.secretVariable" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}
{{- end -}}

{{/*
Topics and consumer groups by the variables that name them. Said only with a prefix: DataHub has these names by itself.
*/}}
{{- define "datahub.kafkaNames" -}}
{{- with .root.Values.kafka.prefix }}
{{- $names := dict
  "METADATA_CHANGE_PROPOSAL_TOPIC_NAME" "MetadataChangeProposal_v1"
  "FAILED_METADATA_CHANGE_PROPOSAL_TOPIC_NAME" "FailedMetadataChangeProposal_v1"
  "METADATA_CHANGE_LOG_VERSIONED_TOPIC_NAME" "MetadataChangeLog_Versioned_v1"
  "METADATA_CHANGE_LOG_TIMESERIES_TOPIC_NAME" "MetadataChangeLog_Timeseries_v1"
  "METADATA_CHANGE_EVENT_NAME" "MetadataChangeEvent_v4"
  "FAILED_METADATA_CHANGE_EVENT_NAME" "FailedMetadataChangeEvent_v4"
  "METADATA_AUDIT_EVENT_NAME" "MetadataAuditEvent_v4"
  "PLATFORM_EVENT_TOPIC_NAME" "PlatformEvent_v1"
  "DATAHUB_USAGE_EVENT_NAME" "DataHubUsageEvent_v1"
  "DATAHUB_UPGRADE_HISTORY_TOPIC_NAME" "DataHubUpgradeHistory_v1"
  "METADATA_CHANGE_LOG_KAFKA_CONSUMER_GROUP_ID" "generic-mae-consumer-job-client"
  "METADATA_CHANGE_PROPOSAL_KAFKA_CONSUMER_GROUP_ID" "generic-mce-consumer-job-client"
  "PLATFORM_EVENT_KAFKA_CONSUMER_GROUP_ID" "generic-platform-event-job-client"
  "DATAHUB_USAGE_EVENT_KAFKA_CONSUMER_GROUP_ID" "datahub-usage-event-consumer-job-client"
-}}
{{- $prefix := . }}
{{- range $variable, $name := $names }}
- {name: {{ $variable }}, value: {{ printf "%s%s" $prefix $name | quote }}}
{{- end }}
{{- end }}
{{- end -}}

{{/* Who proves to be DataHub itself, among its own parts. */}}
{{- define "datahub.client" -}}
{{- $auth := .root.Values.auth -}}
- {name: METADATA_SERVICE_AUTH_ENABLED, value: "true"}
- {name: DATAHUB_SYSTEM_CLIENT_ID, value: {{ $auth.client }}}
{{ include "datahub.secretVariable" (dict "name" "DATAHUB_SYSTEM_CLIENT_SECRET" "secret" $auth.secret "key" $auth.keys.client) }}
{{- end -}}

{{/* What GMS, the consumer and the system update all must know, and must know alike. */}}
{{- define "datahub.environment" -}}
{{- $values := .root.Values -}}
{{- $gms := $values.gms.service -}}
- {name: DATAHUB_REVISION, value: {{ $values.revision | quote }}}
- {name: DATAHUB_TELEMETRY_ENABLED, value: "false"}
- {name: DATAHUB_GMS_HOST, value: {{ $gms.name }}}
- {name: DATAHUB_GMS_PORT, value: {{ $gms.port | quote }}}
{{ include "datahub.client" . }}
{{ include "datahub.secretVariable" (dict "name" "DATAHUB_TOKEN_SERVICE_SIGNING_KEY" "secret" $values.auth.secret "key" $values.auth.keys.signing) }}
{{ include "datahub.secretVariable" (dict "name" "DATAHUB_TOKEN_SERVICE_SALT" "secret" $values.auth.secret "key" $values.auth.keys.salt) }}
- {name: KAFKA_BOOTSTRAP_SERVER, value: {{ $values.kafka.bootstrap | quote }}}
# GMS is the schema registry as well.
- {name: SCHEMA_REGISTRY_TYPE, value: INTERNAL}
- {name: KAFKA_SCHEMAREGISTRY_URL, value: "http://{{ $gms.name }}:{{ $gms.port }}/schema-registry/api/"}
{{- include "datahub.kafkaNames" . }}
{{ include "datahub.search" . }}
{{- if $values.neo4j.enabled }}
- {name: GRAPH_SERVICE_IMPL, value: neo4j}
- {name: NEO4J_HOST, value: {{ $values.neo4j.host | quote }}}
- {name: NEO4J_URI, value: {{ $values.neo4j.uri | quote }}}
- {name: NEO4J_DATABASE, value: {{ $values.neo4j.database | quote }}}
- {name: NEO4J_USERNAME, value: {{ $values.neo4j.user | quote }}}
{{ include "datahub.secretVariable" (dict "name" "NEO4J_PASSWORD" "secret" $values.neo4j.secret "key" $values.neo4j.key) }}
{{- else }}
- {name: GRAPH_SERVICE_IMPL, value: elasticsearch}
{{- end }}
{{- end -}}

{{/* The search server, as the Java services name it. */}}
{{- define "datahub.search" -}}
{{- $search := .root.Values.search -}}
- {name: ELASTICSEARCH_HOST, value: {{ $search.host | quote }}}
- {name: ELASTICSEARCH_PORT, value: {{ $search.port | quote }}}
- {name: ELASTICSEARCH_USE_SSL, value: {{ $search.tls | quote }}}
- {name: ELASTICSEARCH_IMPLEMENTATION, value: {{ $search.implementation }}}
{{- with $search.prefix }}
- {name: INDEX_PREFIX, value: {{ . | quote }}}
{{- end }}
{{- if $search.credentials.user }}
- {name: ELASTICSEARCH_USERNAME, value: {{ $search.credentials.user | quote }}}
{{ include "datahub.secretVariable" (dict "name" "ELASTICSEARCH_PASSWORD" "secret" $search.credentials.secret "key" $search.credentials.key) }}
{{- end }}
{{- end -}}

{{/* The store, for those that write to it. */}}
{{- define "datahub.store" -}}
{{- $database := .root.Values.database -}}
- {name: EBEAN_DATASOURCE_DRIVER, value: org.postgresql.Driver}
- {name: EBEAN_DATASOURCE_HOST, value: "{{ $database.host }}:{{ $database.port }}"}
- {name: EBEAN_DATASOURCE_URL, value: "jdbc:postgresql://{{ $database.host }}:{{ $database.port }}/{{ $database.name }}"}
- {name: EBEAN_DATASOURCE_USERNAME, value: {{ $database.user | quote }}}
{{ include "datahub.secretVariable" (dict "name" "EBEAN_DATASOURCE_PASSWORD" "secret" $database.secret "key" $database.key) }}
- {name: EBEAN_MAX_CONNECTIONS, value: {{ $database.connections | quote }}}
{{- end -}}

{{/* The three probes of an HTTP server: `path`, and `start` (seconds it may take to start). */}}
{{- define "datahub.probes" -}}
startupProbe:
  httpGet: {path: {{ .path }}, port: http}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: {{ div .start 2 }}
readinessProbe:
  httpGet: {path: {{ .path }}, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
livenessProbe:
  httpGet: {path: {{ .path }}, port: http}
  periodSeconds: 30
  timeoutSeconds: 10
  failureThreshold: 6
{{- end -}}
