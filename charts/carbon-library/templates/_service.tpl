{{/*
A Service before the pods of `component`. Takes `name`, `ports` (list of {name, port, target?}; the target is the
container port of the same name unless given), and optionally `headless`, `publishNotReady` (peers find
each other before they are ready), `annotations`, `selector` (labels added to the selector).
*/}}
{{- define "carbon.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "carbon.labels" . | nindent 4 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: ClusterIP
  {{- if .headless }}
  clusterIP: None
  {{- end }}
  {{- if .publishNotReady }}
  publishNotReadyAddresses: true
  {{- end }}
  selector:
    {{- include "carbon.selectorLabels" . | nindent 4 }}
    {{- with .selector }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    {{- range .ports }}
    - name: {{ .name }}
      port: {{ .port }}
      targetPort: {{ .target | default .name }}
      protocol: TCP
    {{- end }}
{{- end -}}

{{/*
Aliases: names in other namespaces (or a second name in this one) that lead to `service` of this release.
Takes `service` and `aliases` (list of {name, namespace}). The namespaces exist before the release does.
*/}}
{{- define "carbon.aliases" -}}
{{- $given := . -}}
{{- range .aliases }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ .namespace | default $given.root.Release.Namespace }}
  labels:
    {{- include "carbon.labels" (merge (dict "component" "alias") $given) | nindent 4 }}
spec:
  type: ExternalName
  externalName: {{ include "carbon.host" $given }}
{{- end }}
{{- end -}}
