{{/* The account the pods run as. It has no rights and no token is mounted. */}}
{{- define "carbon.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "carbon.fullname" . }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "carbon.labels" . | nindent 4 }}
automountServiceAccountToken: false
{{- end -}}

{{/*
A disruption budget, where there is something to keep: with one replica it could only block a drain.
Takes `replicas`, and optionally `maxUnavailable` (1) and `name`.
*/}}
{{- define "carbon.podDisruptionBudget" -}}
{{- if gt (int .replicas) 1 }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name | default (include "carbon.fullname" .) }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "carbon.labels" . | nindent 4 }}
spec:
  maxUnavailable: {{ .maxUnavailable | default 1 }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "carbon.selectorLabels" . | nindent 6 }}
{{- end }}
{{- end -}}

{{/*
What may connect to the pods of `component`: `ports` (container port names or numbers) from `.Values.networkPolicy.from`
(any pod of the cluster unless narrowed), `peerPorts` only from the release's own pods of the same chart.
Nothing is rendered when `.Values.networkPolicy.enabled` is false. Traffic out is not restricted.
*/}}
{{- define "carbon.networkPolicy" -}}
{{- if .root.Values.networkPolicy.enabled }}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .name | default (include "carbon.fullname" .) }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "carbon.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "carbon.selectorLabels" . | nindent 6 }}
  policyTypes: [Ingress]
  ingress:
    {{- if .ports }}
    - from:
        {{- toYaml (.root.Values.networkPolicy.from | default (list (dict "namespaceSelector" dict))) | nindent 8 }}
      ports:
        {{- range .ports }}
        - port: {{ . }}
          protocol: TCP
        {{- end }}
    {{- end }}
    {{- if .peerPorts }}
    - from:
        - podSelector:
            matchLabels:
              app.kubernetes.io/name: {{ .root.Chart.Name }}
              app.kubernetes.io/instance: {{ .root.Release.Name }}
      ports:
        {{- range .peerPorts }}
        - port: {{ . }}
          protocol: TCP
        {{- end }}
    {{- end }}
{{- end }}
{{- end -}}
