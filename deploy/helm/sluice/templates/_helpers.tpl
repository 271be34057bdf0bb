{{- define "sluice.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "sluice.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "sluice.labels" -}}
{{ include "sluice.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* The pod of a part. Takes a dict: root, part ("gateway" or "processor"), values. */}}
{{- define "sluice.pod" -}}
metadata:
  labels:
    {{- include "sluice.selector" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .part }}
  annotations:
    checksum/config: {{ .root.Values.config | toYaml | sha256sum }}
spec:
  automountServiceAccountToken: false
  # Variables of a Service named sluice-... would be taken for settings, and refused.
  enableServiceLinks: false
  terminationGracePeriodSeconds: 90
  securityContext:
    runAsNonRoot: true
    runAsUser: 1000
    runAsGroup: 1000
    fsGroup: 1000
    seccompProfile: { type: RuntimeDefault }
  {{- with .root.Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "sluice.selector" .root | nindent 10 }}
          app.kubernetes.io/component: {{ .part }}
  containers:
    - name: sluice
      image: "{{ .root.Values.image.repository }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}"
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      args: [{{ .part | quote }}, "--config", "/etc/sluice/sluice.yaml"]
      env:
        - { name: SLUICE_DATA_DIR, value: /data }
        - { name: SLUICE_MQTT_HOST, value: "0.0.0.0" }
        - { name: SLUICE_MQTT_PORT, value: "1883" }
        - { name: SLUICE_HTTP_HOST, value: "0.0.0.0" }
        - { name: SLUICE_HTTP_PORT, value: "8080" }
        - name: SLUICE_KAFKA_CLIENT_ID
          valueFrom: { fieldRef: { fieldPath: metadata.name } }
      {{- with .root.Values.existingSecret }}
      envFrom:
        - secretRef: { name: {{ . | quote }} }
      {{- end }}
      ports:
        {{- if eq .part "gateway" }}
        - { name: mqtt, containerPort: 1883 }
        {{- end }}
        - { name: http, containerPort: 8080 }
      # Opening a large state may take long.
      startupProbe:
        httpGet: { path: /healthz, port: http }
        periodSeconds: 5
        failureThreshold: 60
      livenessProbe:
        httpGet: { path: /healthz, port: http }
        periodSeconds: 10
        timeoutSeconds: 5
      readinessProbe:
        httpGet: { path: /readyz, port: http }
        periodSeconds: 10
        timeoutSeconds: 6
      resources: {{- toYaml .values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: { drop: [ALL] }
      volumeMounts:
        - { name: config, mountPath: /etc/sluice, readOnly: true }
        - { name: data, mountPath: /data }
        - { name: tmp, mountPath: /tmp }
  volumes:
    - name: config
      configMap: { name: {{ include "sluice.fullname" .root }} }
    # Nothing that matters: the log and the processors' state are in Kafka.
    - { name: data, emptyDir: {} }
    - { name: tmp, emptyDir: {} }
  {{- with .values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
