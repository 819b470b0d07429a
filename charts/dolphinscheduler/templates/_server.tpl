{{/* Variables by which every server finds the database, the registry and the object store. Takes `root`. */}}
{{- define "dolphinscheduler.database" -}}
{{- $database := .root.Values.database -}}
- {name: DATABASE, value: postgresql}
- {name: SPRING_PROFILES_ACTIVE, value: postgresql}
- {name: SPRING_DATASOURCE_URL, value: "jdbc:postgresql://{{ $database.host }}:{{ $database.port }}/{{ $database.name }}?connectTimeout=10&tcpKeepAlive=true"}
- {name: SPRING_DATASOURCE_USERNAME, value: {{ $database.user | quote }}}
- name: SPRING_DATASOURCE_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ $database.secret }}, key: {{ $database.key }}}
- {name: SPRING_DATASOURCE_HIKARI_MAXIMUMPOOLSIZE, value: {{ $database.connections | quote }}}
- {name: SPRING_DATASOURCE_HIKARI_MINIMUMIDLE, value: "1"}
- {name: TZ, value: {{ .root.Values.timeZone }}}
- {name: SPRING_JACKSON_TIME_ZONE, value: {{ .root.Values.timeZone }}}
{{- end -}}

{{- define "dolphinscheduler.environment" -}}
{{- $store := .root.Values.objectStore -}}
{{ include "dolphinscheduler.database" . }}
- {name: JAVA_OPTS, value: {{ .server.javaOptions | quote }}}
- {name: REGISTRY_TYPE, value: zookeeper}
- {name: REGISTRY_ZOOKEEPER_CONNECT_STRING, value: {{ .root.Values.registry.servers | quote }}}
# A property a.b of common.properties and aws.yaml is overridden by the variable A_B.
- {name: SUDO_ENABLE, value: {{ .root.Values.worker.sudo | quote }}}
- {name: DATA_BASEDIR_PATH, value: /tmp/dolphinscheduler}
- {name: RESOURCE_STORAGE_TYPE, value: S3}
- {name: RESOURCE_STORAGE_UPLOAD_BASE_PATH, value: /dolphinscheduler}
- {name: AWS_S3_ENDPOINT, value: {{ $store.endpoint | quote }}}
- {name: AWS_S3_REGION, value: {{ $store.region | quote }}}
- {name: AWS_S3_BUCKET_NAME, value: {{ $store.bucket | quote }}}
- name: AWS_S3_ACCESS_KEY_ID
  valueFrom:
    secretKeyRef: {name: {{ $store.credentials.secret }}, key: {{ $store.credentials.accessKey }}}
- name: AWS_S3_ACCESS_KEY_SECRET
  valueFrom:
    secretKeyRef: {name: {{ $store.credentials.secret }}, key: {{ $store.credentials.secretKey }}}
{{- range $name, $value := .server.env }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end -}}

{{/* A container with psql and the release's scripts. Takes `root`, `name`, `script`. */}}
{{- define "dolphinscheduler.psql" -}}
{{- $values := .root.Values -}}
- name: {{ .name }}
  {{- include "carbon.containerImage" (dict "root" .root "image" $values.psql.image) | nindent 2 }}
  command: [sh, /etc/dolphinscheduler/{{ .script }}]
  env:
    - {name: PGHOST, value: {{ $values.database.host | quote }}}
    - {name: PGPORT, value: {{ $values.database.port | quote }}}
    - {name: PGDATABASE, value: {{ $values.database.name | quote }}}
    - {name: PGUSER, value: {{ $values.database.user | quote }}}
    - name: PGPASSWORD
      valueFrom:
        secretKeyRef: {name: {{ $values.database.secret }}, key: {{ $values.database.key }}}
    - {name: PGCONNECT_TIMEOUT, value: "5"}
    - {name: SCHEMA_VERSION, value: {{ include "dolphinscheduler.schemaVersion" . | quote }}}
    {{- if .admin }}
    - name: ADMIN_PASSWORD
      valueFrom:
        secretKeyRef: {name: {{ $values.admin.secret }}, key: {{ $values.admin.key }}}
    {{- end }}
  securityContext:
    {{- include "carbon.containerSecurityContext" dict | nindent 4 }}
  resources:
    {{- toYaml $values.psql.resources | nindent 4 }}
  volumeMounts:
    - {name: scripts, mountPath: /etc/dolphinscheduler, readOnly: true}
{{- end -}}

{{- define "dolphinscheduler.schemaVersion" -}}
{{- .root.Values.schema.version | default .root.Chart.AppVersion -}}
{{- end -}}

{{/*
Pod template of one server. Takes `root`, `component`, `server` (its values), `ports` (name → number), and
`health`: the path that tells whether it works, on port `http`.
*/}}
{{- define "dolphinscheduler.pod" -}}
{{- $values := .root.Values -}}
{{- $image := dict "image" .server.image -}}
metadata:
  labels:
    {{- include "carbon.labels" (merge $image .) | nindent 4 }}
  annotations:
    checksum/scripts: {{ .root.Files.Get "files/schema-ready.sh" | sha256sum }}
spec:
  {{- include "carbon.podSpec" (merge (dict "uid" $values.uid "replicas" .server.replicas "grace" 60) .) | nindent 2 }}
  initContainers:
    {{- include "dolphinscheduler.psql" (dict "root" .root "name" "schema-ready" "script" "schema-ready.sh") | nindent 4 }}
  containers:
    - name: {{ .component }}
      {{- include "carbon.containerImage" (merge $image .) | nindent 6 }}
      env:
        {{- include "dolphinscheduler.environment" . | nindent 8 }}
      securityContext:
        {{- include "carbon.containerSecurityContext" dict | nindent 8 }}
      ports:
        {{- range $name, $port := .ports }}
        - {name: {{ $name }}, containerPort: {{ $port }}}
        {{- end }}
      startupProbe:
        httpGet: {path: {{ .health }}/liveness, port: http}
        periodSeconds: 2
        timeoutSeconds: 5
        failureThreshold: 150
      # Answers 503 when the database can't be used: no request is sent to a server that could only refuse it.
      readinessProbe:
        httpGet: {path: {{ .health }}, port: http}
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 3
      # Not the database: without it, a restart would help nobody.
      livenessProbe:
        httpGet: {path: {{ .health }}/liveness, port: http}
        periodSeconds: 20
        timeoutSeconds: 10
        failureThreshold: 6
      resources:
        {{- toYaml .server.resources | nindent 8 }}
      volumeMounts:
        - {name: logs, mountPath: /opt/dolphinscheduler/logs}
        - {name: temporary, mountPath: /tmp}
  volumes:
    - name: scripts
      configMap: {name: {{ include "carbon.fullname" . }}-scripts}
    - name: logs
      emptyDir: {sizeLimit: 1Gi}
    - name: temporary
      emptyDir: {sizeLimit: {{ .server.scratch | default "256Mi" }}}
{{- end -}}

{{/* Deployment of one server, its budget and policy. Takes what dolphinscheduler.pod takes, `open` and `peers` (port names). */}}
{{- define "dolphinscheduler.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "carbon.fullname" . }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "carbon.labels" (merge (dict "image" .server.image) .) | nindent 4 }}
spec:
  replicas: {{ .server.replicas }}
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
  selector:
    matchLabels:
      {{- include "carbon.selectorLabels" . | nindent 6 }}
  template:
    {{- include "dolphinscheduler.pod" . | nindent 4 }}
---
{{ include "dolphinscheduler.protection" . }}
{{- end -}}

{{/* StatefulSet of one server, for a name that outlives its pods: by it the others know it. */}}
{{- define "dolphinscheduler.statefulSet" -}}
{{- $name := printf "%s-%s" (include "carbon.fullname" .) .component -}}
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "carbon.labels" (merge (dict "image" .server.image) .) | nindent 4 }}
spec:
  replicas: {{ .server.replicas }}
  serviceName: {{ $name }}
  podManagementPolicy: Parallel
  selector:
    matchLabels:
      {{- include "carbon.selectorLabels" . | nindent 6 }}
  template:
    {{- include "dolphinscheduler.pod" . | nindent 4 }}
---
{{ include "carbon.service" (merge (dict "name" $name "headless" true "publishNotReady" true "ports" (list (dict "name" "rpc" "port" .ports.rpc)) "image" .server.image) .) }}
---
{{ include "dolphinscheduler.protection" . }}
{{- end -}}

{{- define "dolphinscheduler.protection" -}}
{{- $name := printf "%s-%s" (include "carbon.fullname" .) .component -}}
{{- $context := dict "root" .root "component" .component "image" .server.image -}}
{{ include "carbon.podDisruptionBudget" (merge (dict "name" $name "replicas" .server.replicas) $context) }}
---
{{ include "carbon.networkPolicy" (merge (dict "name" $name "ports" .open "peerPorts" .peers) $context) }}
{{- end -}}
