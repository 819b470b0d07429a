{{/*
A StatefulSet of servers: the primary, or the replicas. Takes `name`, `replicas`, `command`, `service`, and `secrets`: the items of the
Secret that its containers may read.
*/}}
{{- define "postgres.server" -}}
{{- $values := .root.Values -}}
{{- $configuration := include "carbon.fullname" . -}}
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "carbon.labels" . | nindent 4 }}
spec:
  replicas: {{ .replicas }}
  serviceName: {{ .service }}-headless
  selector:
    matchLabels:
      {{- include "carbon.selectorLabels" . | nindent 6 }}
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain, whenScaled: Retain}
  template:
    metadata:
      labels:
        {{- include "carbon.labels" . | nindent 8 }}
      annotations:
        checksum/configuration: {{ include (print .root.Template.BasePath "/configuration.yaml") .root | sha256sum }}
    spec:
      {{- include "carbon.podSpec" (merge (dict "uid" $values.uid "grace" $values.terminationGracePeriod) .) | nindent 6 }}
      initContainers:
        - name: initialise
          {{- include "carbon.containerImage" . | nindent 10 }}
          command: [sh, /etc/postgresql/initialise.sh]
          env: &env
            - {name: PGDATA, value: /var/lib/postgresql/data/pgdata}
            - {name: ROLE, value: {{ .component }}}
            - name: POD
              valueFrom: {fieldRef: {fieldPath: metadata.name}}
            - {name: PRIMARY, value: {{ include "carbon.host" (dict "root" .root "service" $values.service.name) }}}
            - {name: PRIMARY_PORT, value: {{ $values.service.port | quote }}}
          securityContext: &security
            {{- include "carbon.containerSecurityContext" dict | nindent 12 }}
          resources: &resources
            {{- toYaml $values.resources | nindent 12 }}
          volumeMounts: &mounts
            - {name: data, mountPath: /var/lib/postgresql/data}
            - {name: run, mountPath: /run/postgresql}
            - {name: temporary, mountPath: /tmp}
            - {name: memory, mountPath: /dev/shm}
            - {name: configuration, mountPath: /etc/postgresql, readOnly: true}
            - {name: secrets, mountPath: /run/secrets/postgres, readOnly: true}
      containers:
        - name: postgres
          {{- include "carbon.containerImage" . | nindent 10 }}
          command: {{ .command | toJson }}
          env: *env
          securityContext: *security
          ports:
            - {name: postgres, containerPort: 5432}
          # Recovery after a crash takes as long as it takes: the server listens all the while but is not ready.
          startupProbe:
            exec: {command: [pg_isready, --quiet, --host=/run/postgresql]}
            periodSeconds: 1
            timeoutSeconds: 5
            failureThreshold: 1800
          readinessProbe:
            exec: {command: [pg_isready, --quiet, --host=/run/postgresql]}
            periodSeconds: 5
            timeoutSeconds: 5
            failureThreshold: 2
          livenessProbe:
            tcpSocket: {port: postgres}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          lifecycle:
            preStop:
              # Fast shutdown: ends the sessions and writes a checkpoint. The default signal would wait for every client.
              exec: {command: [sh, -c, kill -INT 1]}
          resources: *resources
          volumeMounts: *mounts
      volumes:
        - name: run
          emptyDir: {medium: Memory, sizeLimit: 4Mi}
        - name: memory
          emptyDir: {medium: Memory, sizeLimit: {{ $values.sharedMemory }}}
        - name: temporary
          emptyDir: {}
        - name: configuration
          configMap: {name: {{ $configuration }}}
        - name: secrets
          secret:
            secretName: {{ $values.credentials.secret }}
            defaultMode: 0440
            items: {{ .secrets | toJson }}
  volumeClaimTemplates:
    - {{- include "carbon.volumeClaimTemplate" (merge (dict "name" "data" "persistence" $values.persistence) .) | nindent 6 }}
{{- end -}}
