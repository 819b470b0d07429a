{{/* A size such as 768M, 1G, 192MB or 1GB, in megabytes. */}}
{{- define "trino.megabytes" -}}
{{- $number := regexFind "^[0-9]+" . | int -}}
{{- if hasSuffix "G" (trimSuffix "B" .) }}{{ mul $number 1024 }}{{ else }}{{ $number }}{{ end -}}
{{- end -}}

{{/* Stops the rendering when a node's memory settings don't fit its heap: Trino would refuse to start, again and again. */}}
{{- define "trino.fits" -}}
{{- $node := .node -}}
{{- $heap := include "trino.megabytes" $node.heap | int -}}
{{- $query := include "trino.megabytes" $node.queryMemory | int -}}
{{- $headroom := include "trino.megabytes" $node.headroom | int -}}
{{- if gt (add $query $headroom) $heap -}}
{{- fail (printf "%s: queryMemory %s and headroom %s together are more than heap %s: Trino would not start" .name $node.queryMemory $node.headroom $node.heap) -}}
{{- end -}}
{{- end -}}

{{/* Configuration files of one role. Takes `root`, `component`, `node` (its values), `coordinator` (whether it is one). */}}
{{- define "trino.configuration" -}}
{{- $values := .root.Values -}}
{{- include "trino.fits" (dict "name" .component "node" .node) -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "carbon.fullname" . }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "carbon.labels" . | nindent 4 }}
data:
  config.properties: |
    coordinator={{ .coordinator }}
    {{- if .coordinator }}
    node-scheduler.include-coordinator={{ .node.schedulable }}
    discovery.uri=http://localhost:8080
    {{- else }}
    discovery.uri=http://{{ include "carbon.host" (dict "root" .root "service" $values.service.name) }}:{{ $values.service.port }}
    {{- end }}
    http-server.http.port=8080
    # Behind a port-forward or an ingress the answers must name the host that was asked.
    http-server.process-forwarded=true
    internal-communication.shared-secret=${ENV:INTERNAL_SHARED_SECRET}
    query.max-memory={{ $values.query.maxMemory }}
    query.max-memory-per-node={{ .node.queryMemory }}
    memory.heap-headroom-per-node={{ .node.headroom }}
    {{- range $key, $value := $values.config }}
    {{ $key }}={{ $value }}
    {{- end }}
  node.properties: |
    node.environment={{ $values.environment }}
    node.data-dir=/var/trino
  jvm.config: |
    -server
    -Xmx{{ .node.heap }}
    {{- range .node.jvmOptions }}
    {{ . }}
    {{- end }}
    -XX:+ExitOnOutOfMemoryError
    -XX:-OmitStackTraceInFastThrow
    -XX:-UsePerfData
    -XX:PerMethodRecompilationCutoff=10000
    -XX:PerBytecodeRecompilationCutoff=10000
    -XX:+EnableDynamicAgentLoading
    -Djdk.attach.allowAttachSelf=true
    -Djdk.nio.maxCachedBufferSize=2000000
    -Dfile.encoding=UTF-8
  log.properties: |
    io.trino=INFO
  answers.sh: |
    # Answers, and is done with starting: the HTTP status alone is 200 much earlier.
    exec 3<>/dev/tcp/127.0.0.1/8080 || exit 1
    printf 'GET /v1/info HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
    timeout 4 cat <&3 | grep -q '"starting":false'
  {{- range $name, $properties := $values.catalogs }}
  catalog.{{ $name }}.properties: |
    {{- range $key, $value := $properties }}
    {{ $key }}={{ $value }}
    {{- end }}
  {{- end }}
{{- end -}}

{{/* Deployment of one role. Takes what trino.configuration takes, and `replicas`. */}}
{{- define "trino.deployment" -}}
{{- $values := .root.Values -}}
{{- $name := printf "%s-%s" (include "carbon.fullname" .) .component -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "carbon.labels" . | nindent 4 }}
spec:
  replicas: {{ .replicas }}
  {{- if .coordinator }}
  # Two coordinators at once would each have half of the workers.
  strategy: {type: Recreate}
  {{- end }}
  selector:
    matchLabels:
      {{- include "carbon.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "carbon.labels" . | nindent 8 }}
      annotations:
        checksum/configuration: {{ include "trino.configuration" . | sha256sum }}
    spec:
      {{- include "carbon.podSpec" (merge (dict "uid" $values.uid) .) | nindent 6 }}
      containers:
        - name: trino
          {{- include "carbon.containerImage" . | nindent 10 }}
          command: [{{ $values.home }}/bin/launcher, run, --etc-dir, /etc/trino]
          env:
            - name: INTERNAL_SHARED_SECRET
              valueFrom:
                secretKeyRef: {name: {{ $values.internal.secret }}, key: {{ $values.internal.key }}}
            {{- range $values.secretEnv }}
            - name: {{ .name }}
              valueFrom:
                secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}
            {{- end }}
          securityContext:
            {{- include "carbon.containerSecurityContext" dict | nindent 12 }}
          ports:
            - {name: http, containerPort: 8080}
          startupProbe:
            exec: {command: [bash, /etc/trino/answers.sh]}
            periodSeconds: 2
            timeoutSeconds: 5
            failureThreshold: 150
          readinessProbe:
            exec: {command: [bash, /etc/trino/answers.sh]}
            periodSeconds: 10
            timeoutSeconds: 5
          livenessProbe:
            tcpSocket: {port: http}
            periodSeconds: 20
            timeoutSeconds: 10
            failureThreshold: 6
          resources:
            {{- toYaml .node.resources | nindent 12 }}
          volumeMounts:
            - {name: configuration, mountPath: /etc/trino, readOnly: true}
            - {name: data, mountPath: /var/trino}
            - {name: temporary, mountPath: /tmp}
      volumes:
        - name: configuration
          configMap:
            name: {{ $name }}
            items:
              {{- range list "config.properties" "node.properties" "jvm.config" "log.properties" "answers.sh" }}
              - {key: {{ . }}, path: {{ . }}}
              {{- end }}
              {{- range $catalog, $ := $values.catalogs }}
              - {key: catalog.{{ $catalog }}.properties, path: catalog/{{ $catalog }}.properties}
              {{- end }}
        # Spilled and staged data of running queries: worth nothing to the next process.
        - name: data
          emptyDir: {}
        - name: temporary
          emptyDir: {}
{{- end -}}
