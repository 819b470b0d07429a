{{/* Pod-level security of the restricted standard. `uid` is the image's user; volumes are given to its group. */}}
{{- define "carbon.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: {{ .uid }}
runAsGroup: {{ .gid | default .uid }}
fsGroup: {{ .gid | default .uid }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Container-level security of the restricted standard. `writableRoot: true` where a program needs it. */}}
{{- define "carbon.containerSecurityContext" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: {{ not (.writableRoot | default false) }}
capabilities:
  drop: [ALL]
{{- end -}}

{{/*
Start of a pod spec: account, security, placement, grace. Takes `uid`, and optionally `gid`, `replicas`
(more than one spreads over nodes), `grace` (seconds to end in; 30 by default).
*/}}
{{- define "carbon.podSpec" -}}
{{- $values := .root.Values -}}
serviceAccountName: {{ include "carbon.fullname" . }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .grace | default 30 }}
securityContext:
  {{- include "carbon.podSecurityContext" . | nindent 2 }}
{{- with $values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if gt (int (.replicas | default 1)) 1 }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "carbon.selectorLabels" . | nindent 8 }}
{{- end }}
{{- end -}}

{{/* Image lines of a container; takes an optional `image`. */}}
{{- define "carbon.containerImage" -}}
{{- $image := .image | default .root.Values.image -}}
image: {{ include "carbon.image" . }}
imagePullPolicy: {{ $image.pullPolicy | default "IfNotPresent" }}
{{- end -}}

{{/*
One volume claim template. Takes `name` and `persistence` ({size, storageClass, accessModes}).
Its labels are those that never change: a StatefulSet's claim templates are immutable.
*/}}
{{- define "carbon.volumeClaimTemplate" -}}
metadata:
  name: {{ .name | default "data" }}
  labels:
    {{- include "carbon.selectorLabels" . | nindent 4 }}
spec:
  accessModes: {{ .persistence.accessModes | default (list "ReadWriteOnce") | toJson }}
  {{- with .persistence.storageClass }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ .persistence.size }}
{{- end -}}
