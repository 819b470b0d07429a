{{/* A quantity such as 512Mi or 2Gi, in bytes. */}}
{{- define "ray.bytes" -}}
{{- $number := regexFind "^[0-9]+" . | int64 -}}
{{- if hasSuffix "Gi" . }}{{ mul $number 1073741824 }}{{ else }}{{ mul $number 1048576 }}{{ end -}}
{{- end -}}

{{/* Options of `ray start` for a node. Takes `node`, its values. */}}
{{- define "ray.parameters" -}}
num-cpus: {{ .node.cpus | quote }}
object-store-memory: {{ include "ray.bytes" .node.objectStore | quote }}
disable-usage-stats: "true"
{{- range $name, $value := .node.parameters }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end -}}

{{/* Template of a node's pod. Takes `node`, its values, and `replicas`. */}}
{{- define "ray.template" -}}
{{- $spec := include "ray.pod" . -}}
{{- $head := dict "root" .root "component" "head" "node" .root.Values.head -}}
metadata:
  labels:
    {{- include "carbon.labels" . | nindent 4 }}
  annotations:
    # The operator leaves a pod alone that was made of an earlier template: by this Carbon tells it apart. A worker of
    # another head ends itself, some time after that head is gone: it is made anew with it.
    checksum/template: {{ sha256sum (ternary $spec (cat $spec (include "ray.pod" $head)) (eq .component "head")) }}
    {{- if eq .component "worker" }}
    ray.io/overwrite-container-cmd: "true"
    {{- end }}
spec:
  {{- $spec | nindent 2 }}
{{- end -}}

{{- define "ray.pod" -}}
{{- $head := eq .component "head" -}}
{{- $health := ternary "{path: /api/gcs_healthz, port: dashboard}" "{path: /api/local_raylet_healthz, port: agent}" $head -}}
{{- $spec := include "carbon.podSpec" (merge (dict "uid" .root.Values.uid "grace" 15) .) -}}
{{- if and $head .root.Values.autoscaling.enabled -}}
{{- /* The autoscaler beside the head speaks to the API server. */ -}}
{{- $spec = $spec | replace "automountServiceAccountToken: false" "automountServiceAccountToken: true" -}}
{{- end -}}
{{ $spec }}
# Each job that ends leaves orphans to process 1: `ray start` would never reap them, the pod's own process 1 does.
shareProcessNamespace: true
containers:
  - name: {{ if $head }}ray-head{{ else }}ray-worker{{ end }}
    {{- include "carbon.containerImage" . | nindent 4 }}
    {{- if not $head }}
    # A worker ends Ray when its head is gone, to join the next one. It begins again here, once there is one: the kubelet
    # would wait longer each time. What ends soon, or by a signal, is for the kubelet to tell.
    command: [bash, -c]
    args:
      - |
        ulimit -Sn hard
        ray=
        trap '[ -z "$ray" ] || kill "$ray"; wait; exit 143' TERM # Ray tells its head that it leaves
        while :; do
          until timeout 5 bash -c '</dev/tcp/$FQ_RAY_IP/$RAY_PORT'; do sleep 1; done
          began=$SECONDS
          eval "exec $KUBERAY_GEN_RAY_START_CMD" &
          ray=$!
          wait "$ray"
          code=$? ray=
          if [ $code -ge 128 ] || [ $((SECONDS - began)) -lt 20 ]; then exit $code; fi
          echo "Ray ended with code $code: begins again"
          ray stop --force > /dev/null 2>&1 # what it left would hold its ports
        done
    {{- end }}
    env:
      - {name: HOME, value: /tmp}
      {{- range $name, $value := .node.env }}
      - {name: {{ $name }}, value: {{ $value | quote }}}
      {{- end }}
    securityContext:
      {{- include "carbon.containerSecurityContext" dict | nindent 6 }}
    ports:
      {{- if $head }}
      - {name: gcs-server, containerPort: 6379}
      - {name: dashboard, containerPort: 8265}
      - {name: client, containerPort: 10001}
      {{- end }}
      - {name: metrics, containerPort: 8080}
      - {name: agent, containerPort: 52365}
    startupProbe:
      httpGet: {{ $health }}
      periodSeconds: 1
      timeoutSeconds: 5
      failureThreshold: 180
    readinessProbe:
      httpGet: {{ $health }}
      periodSeconds: 5
      timeoutSeconds: 5
      failureThreshold: 3
    livenessProbe:
      httpGet: {path: /api/local_raylet_healthz, port: agent}
      periodSeconds: 20
      timeoutSeconds: 10
      failureThreshold: 6
    resources:
      {{- toYaml .node.resources | nindent 6 }}
    volumeMounts:
      - {name: temporary, mountPath: /tmp}
volumes:
  - name: temporary
    emptyDir: {}
{{- end -}}
